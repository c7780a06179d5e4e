//! The tree of commands. What stands here works; what does not work yet does not stand here.

mod config;
mod controller;
mod host;
mod observe;
mod stack;

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand};

pub use config::{ConfigCommand, Init};
pub use controller::{ControllerCommand, Run as ControllerRun};
pub use host::{Add, Bootstrap, HostCommand, Remove};
pub use observe::{Events, RunsCommand, ServiceCommand, Status};
pub use stack::{Enrolling, Install, OnFailure, Plan, Selecting, StackCommand, Uninstall};

use crate::output::Format;

/// From bare hosts to a working stack, and kept that way.
#[derive(Debug, Parser)]
#[command(
    name = "foundry",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 failed, 2 usage or config, 3 partly done or degraded, 4 changes pending, \
                  130 interrupted."
)]
pub struct Cli {
    /// For every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The stack file [env: FOUNDRY_CONFIG] [default: ~/.foundry/stack.yaml or ./stack.yaml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<Utf8PathBuf>,

    /// How to print what was asked for; streams become one JSON document a line
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub output: Format,

    /// No colours (so does NO_COLOR)
    #[arg(long, global = true)]
    pub no_color: bool,

    /// Say only what was asked for, and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say more about what is done
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write and check stack.yaml
    #[command(subcommand)]
    Config(ConfigCommand),
    /// The machines of the fleet
    #[command(subcommand)]
    Host(HostCommand),
    /// Bring the hosts to what stack.yaml says
    #[command(subcommand)]
    Stack(StackCommand),
    /// The services of stack.yaml
    #[command(subcommand)]
    Service(ServiceCommand),
    /// What the hosts report, each value with its age
    Status(Status),
    /// What happened on the hosts
    Events(Events),
    /// Runs of `stack install` and its like
    #[command(subcommand)]
    Runs(RunsCommand),
    /// The process that the agents dial
    #[command(subcommand)]
    Controller(ControllerCommand),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_tree_is_sound() {
        super::Cli::command().debug_assert();
    }
}
