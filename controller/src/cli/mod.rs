//! The command line: arguments in, exit code out.
//!
//! ```text
//! args (clap) ─→ Context (environment, printer) ─→ commands::run ─→ Exit, or CliError
//! ```
//!
//! The environment is read once, here. No runtime is started before a command needs one ([`runtime`]), so that help,
//! usage errors and what reads only the file answer within a few milliseconds. The exit code is decided here and nowhere
//! else: docs/exit-codes.md.

pub mod args;
mod context;
mod environment;
mod error;
pub mod runtime;

use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

pub use context::Context;
pub use environment::Environment;
pub use error::{CliError, Exit, Kind, Place};

use crate::commands;
use crate::output::{Format, Printer, Settings};
use args::Cli;

/// Runs the command that the arguments name, and says how it ended.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(refusal) => return refuse(&refusal),
    };
    let environment = Environment::read();
    let printer = Printer::new(Settings::decide(&cli.global, &environment));
    let result = environment.home_or_refuse().and_then(|()| {
        let context = Context::new(&cli.global, environment, printer.clone());
        commands::run(&context, cli.command)
    });
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            printer.error(&error);
            error.kind.into()
        }
    }
}

/// Help and version are answers; everything else that clap says is a usage error, in JSON where that was asked for.
fn refuse(refusal: &clap::Error) -> ExitCode {
    let environment = Environment::read();
    let format = Format::guess(std::env::args_os());
    let printer = Printer::new(Settings::plain(format, &environment));
    if matches!(
        refusal.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        printer.answer(&refusal.render());
        return Exit::Done.into();
    }
    if format == Format::Table {
        printer.refusal(&refusal.render());
        return Kind::Usage.into();
    }
    let text = refusal.render().to_string();
    let what = text
        .lines()
        .next()
        .unwrap_or_default()
        .trim_start_matches("error: ");
    let tips = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("tip: "));
    printer.error(&CliError::usage(what.to_owned()).hints(tips.map(str::to_owned)));
    Kind::Usage.into()
}
