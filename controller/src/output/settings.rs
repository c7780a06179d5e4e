//! How to print, decided once from flags, environment and terminals.

use std::io::IsTerminal as _;

use super::Format;
use crate::cli::Environment;
use crate::cli::args::Global;

/// What the printer may do.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Form of the data.
    pub format: Format,
    /// Colours on standard output.
    pub color_out: bool,
    /// Colours on standard error.
    pub color_err: bool,
    /// Only data and errors.
    pub quiet: bool,
    /// More of what is done.
    pub verbose: bool,
    /// Somebody sits at standard error: lines may be drawn over.
    pub live: bool,
    /// Somebody can be asked: standard input and standard error are a terminal.
    pub can_ask: bool,
    /// Standard output is a terminal: a newer state may take the place of an older one.
    pub redraw: bool,
    /// Columns of the terminal.
    pub width: usize,
}

/// Where no terminal says how wide it is: nothing is wrapped that a program or a log reads.
const WIDTH_WITHOUT_TERMINAL: usize = 200;

// === impl Settings ===

impl Settings {
    /// What flags, environment and terminals allow.
    pub fn decide(global: &Global, environment: &Environment) -> Self {
        let out = std::io::stdout().is_terminal();
        let err = std::io::stderr().is_terminal();
        let wanted = !global.no_color && !environment.no_color;
        let color = |terminal: bool| wanted && (terminal || environment.force_color);
        Self {
            format: global.output,
            color_out: color(out),
            color_err: color(err),
            quiet: global.quiet,
            verbose: global.verbose,
            live: err && !global.quiet,
            can_ask: err && std::io::stdin().is_terminal(),
            redraw: out,
            width: width(environment),
        }
    }

    /// For what is said before the arguments were understood.
    pub fn plain(format: Format, environment: &Environment) -> Self {
        let color = |terminal: bool| !environment.no_color && (terminal || environment.force_color);
        Self {
            format,
            color_out: color(std::io::stdout().is_terminal()),
            color_err: color(std::io::stderr().is_terminal()),
            quiet: false,
            verbose: false,
            live: false,
            can_ask: false,
            redraw: false,
            width: width(environment),
        }
    }
}

fn width(environment: &Environment) -> usize {
    let terminal = rustix::termios::tcgetwinsize(std::io::stdout())
        .map(|size| usize::from(size.ws_col))
        .ok()
        .filter(|columns| *columns > 0);
    terminal
        .or(environment.columns)
        .unwrap_or(WIDTH_WITHOUT_TERMINAL)
        .max(40)
}
