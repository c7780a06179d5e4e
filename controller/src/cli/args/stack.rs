//! `foundry stack`.

use std::time::Duration;

use camino::Utf8PathBuf;
use clap::{Args, Subcommand, ValueEnum};

use super::Status;

/// Bring the hosts to what stack.yaml says.
#[derive(Debug, Subcommand)]
pub enum StackCommand {
    /// Show what `install` would change; changes nothing
    Plan(Plan),
    /// Show what would change, ask, and do it
    Install(Install),
    /// What the hosts report, each value with its age
    Status(Status),
    /// Check the file, its dependencies, and that each host can be reached; changes nothing
    Validate,
    /// Take the services off the hosts; data folders are kept
    Uninstall(Uninstall),
}

/// Which part of the file is meant.
#[derive(Debug, Clone, Default, Args)]
pub struct Selecting {
    /// Only this host (repeatable)
    #[arg(long = "host", value_name = "HOST")]
    pub hosts: Vec<String>,

    /// Only this service (repeatable)
    #[arg(long = "service", value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// How hosts are reached over ssh.
#[derive(Debug, Clone, Default, Args)]
pub struct Enrolling {
    /// Trust the key of a host that is not known yet; a changed one is still refused
    #[arg(long)]
    pub accept_new_host_keys: bool,

    /// First line of FILE is the password for sudo; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub become_password_file: Option<Utf8PathBuf>,

    /// How many hosts at a time
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub parallel: u16,
}

/// Options of `stack plan`.
#[derive(Debug, Args)]
pub struct Plan {
    /// Which part of the file.
    #[command(flatten)]
    pub selecting: Selecting,

    /// Show the removal of what left the file
    #[arg(long)]
    pub prune: bool,

    /// Exit with 4 where changes are pending
    #[arg(long)]
    pub exit_code: bool,
}

/// Options of `stack install`.
#[derive(Debug, Args)]
pub struct Install {
    /// Which part of the file.
    #[command(flatten)]
    pub selecting: Selecting,

    /// Remove what left the file; data folders are kept
    #[arg(long)]
    pub prune: bool,

    /// Do not ask
    #[arg(long, short = 'y')]
    pub yes: bool,

    /// When a step fails: go on with what does not depend on it, or start nothing more
    #[arg(long, value_enum, default_value_t = OnFailure::Continue, value_name = "WHAT")]
    pub on_failure: OnFailure,

    /// Wait this many seconds for another run to end
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    pub lock_wait: Duration,

    /// Written into the record of the run
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,

    /// How hosts are enrolled.
    #[command(flatten)]
    pub enrolling: Enrolling,
}

/// Options of `stack uninstall`.
#[derive(Debug, Args)]
pub struct Uninstall {
    /// Which part of the file.
    #[command(flatten)]
    pub selecting: Selecting,

    /// Delete data folders too
    #[arg(long)]
    pub purge: bool,

    /// Do not ask for the cluster's name
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// What a failed step does to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnFailure {
    /// What does not depend on it goes on.
    Continue,
    /// Nothing more is started.
    Abort,
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .map(Duration::from_secs)
        .map_err(|_| "a number of seconds".to_owned())
}
