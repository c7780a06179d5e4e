//! The project's own commands: `cargo xtask <command>`.

mod admin;
mod agent;
mod bench;
mod codegen;
mod demo;
mod elf;
mod places;
mod program;
mod report;
mod setup;
mod test;
mod testbed;
mod tools;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::places::Places;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own commands")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what the other commands need, where it is missing, and start the testbed's engine.
    Setup,
    /// Three real hosts, two services, from nothing to healthy.
    Demo(demo::Options),
    /// Everything that has to hold before a change lands.
    Test(test::Options),
    /// Measure on real hosts, each time beside a baseline.
    Bench(bench::Options),
    /// Real hosts to try things on.
    #[command(subcommand)]
    Testbed(testbed::Command),
    /// Make the Rust of the wire contract from its schema.
    Codegen {
        /// Only compare; fail on a difference.
        #[arg(long)]
        check: bool,
    },
    /// Build the agent as it is shipped, and check that it is one small static file.
    DistCheck,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::say(format!("\nerror: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let places = Places::find()?;
    match Arguments::parse().command {
        Command::Setup => setup::run(&places),
        Command::Demo(options) => demo::run(&places, &options),
        Command::Test(options) => test::run(&places, &options),
        Command::Bench(options) => bench::run(&places, &options),
        Command::Testbed(command) => testbed::run(&places, command),
        Command::Codegen { check } => codegen::run(&places.root, check),
        Command::DistCheck => agent::build(&places).map(drop),
    }
}
