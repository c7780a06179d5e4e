//! The project's own commands: `cargo xtask <command>`.

mod codegen;

use anyhow::Result;
use camino::Utf8Path;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own commands")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make the Rust of the wire contract from its schema.
    Codegen {
        /// Only compare; fail on a difference.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> Result<()> {
    let root = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize_utf8()?;
    match Arguments::parse().command {
        Command::Codegen { check } => codegen::run(&root, check),
    }
}
