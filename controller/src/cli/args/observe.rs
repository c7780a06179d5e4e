//! `foundry status`, `events`, `runs`, `service`.

use clap::{Args, Subcommand};

use super::Selecting;

/// Options of `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Which part of the file.
    #[command(flatten)]
    pub selecting: Selecting,

    /// Go on and print every change
    #[arg(long, short)]
    pub watch: bool,
}

/// Options of `events`.
#[derive(Debug, Args)]
pub struct Events {
    /// Go on and print what happens
    #[arg(long, short)]
    pub follow: bool,

    /// The newest this many
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100)]
    pub lines: u32,

    /// Only of this host (repeatable)
    #[arg(long = "host", value_name = "HOST")]
    pub hosts: Vec<String>,
}

/// Runs of `stack install` and its like.
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// The newest first
    List {
        /// At most this many
        #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
        lines: u32,
    },
    /// One run, step by step
    Show {
        /// Its id, as `runs list` prints it
        run: String,
    },
}

/// The services of stack.yaml.
#[derive(Debug, Subcommand)]
pub enum ServiceCommand {
    /// Each service on each of its hosts
    List,
}
