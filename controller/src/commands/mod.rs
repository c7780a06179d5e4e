//! What each command does: one file per group.
//!
//! A command reads the file ([`stackfile`]), speaks with the controller where one is needed ([`fleet`]), and hands
//! documents to the printer. It never writes to the terminal itself.

mod archives;
mod config;
mod controller;
mod events;
mod fleet;
mod host;
mod runs;
mod service;
mod stack;
mod stackfile;
mod status;

use crate::cli::args::Command;
use crate::cli::{CliError, Context, Exit};

/// Runs one command.
///
/// # Errors
///
/// Why it failed, with what to do next.
pub fn run(context: &Context, command: Command) -> Result<Exit, CliError> {
    match command {
        Command::Config(command) => config::run(context, command),
        Command::Host(command) => host::run(context, command),
        Command::Stack(command) => stack::run(context, command),
        Command::Service(command) => service::run(context, &command),
        Command::Status(options) => status::run(context, &options),
        Command::Events(options) => events::run(context, options),
        Command::Runs(command) => runs::run(context, command),
        Command::Controller(command) => controller::run(context, command),
    }
}
