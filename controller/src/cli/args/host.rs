//! `foundry host`.

use clap::{Args, Subcommand};

use super::Enrolling;

/// The machines of the fleet.
#[derive(Debug, Subcommand)]
pub enum HostCommand {
    /// Write a host into stack.yaml
    Add(Add),
    /// The hosts of stack.yaml and of the fleet
    List,
    /// Bring the agent to hosts and enrol them; changes nothing on those that are
    Bootstrap(Bootstrap),
    /// Take a host out of the fleet and foundry off the host; data folders are kept
    Remove(Remove),
}

/// Options of `host add`.
#[derive(Debug, Args)]
pub struct Add {
    /// Its stable name
    pub name: String,

    /// What ssh dials: an address, a DNS name, a name of ssh_config
    pub address: String,

    /// Log in as this user [default: ssh decides]
    #[arg(long)]
    pub user: Option<String>,

    /// Port of its sshd [default: ssh decides]
    #[arg(long)]
    pub port: Option<u16>,
}

/// Options of `host bootstrap`.
#[derive(Debug, Args)]
pub struct Bootstrap {
    /// Which hosts of stack.yaml [default: all]
    #[arg(value_name = "HOST")]
    pub hosts: Vec<String>,

    /// How to reach and enrol them.
    #[command(flatten)]
    pub enrolling: Enrolling,

    /// Enrol hosts that belong to another fleet, which loses them
    #[arg(long)]
    pub take_over: bool,

    /// Work for this run, with the request on standard input
    #[arg(long, hide = true, value_name = "RUN", conflicts_with = "hosts")]
    pub for_run: Option<String>,
}

/// Options of `host remove`.
#[derive(Debug, Args)]
pub struct Remove {
    /// Its name in stack.yaml or in the fleet
    pub name: String,

    /// Delete its data folders too
    #[arg(long)]
    pub purge: bool,

    /// Take it out of the fleet although it does not answer
    #[arg(long)]
    pub force: bool,

    /// Do not ask
    #[arg(long, short = 'y')]
    pub yes: bool,
}
