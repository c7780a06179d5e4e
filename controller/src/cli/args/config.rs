//! `foundry config`.

use clap::{Args, Subcommand};

/// Write and check stack.yaml.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Write a new stack.yaml and make the state of its fleet
    Init(Init),
    /// Say whether stack.yaml can be used: every error at once
    Validate,
    /// Print what stack.yaml says, defaults filled in
    Show,
}

/// Options of `config init`. What is left out is asked for on a terminal.
#[derive(Debug, Args)]
pub struct Init {
    /// Name of the cluster
    #[arg(long)]
    pub name: Option<String>,

    /// Its DNS domain
    #[arg(long)]
    pub domain: Option<String>,

    /// A host as NAME=ADDRESS, or NAME=USER@ADDRESS:PORT (repeatable)
    #[arg(long = "host", value_name = "NAME=ADDRESS")]
    pub hosts: Vec<String>,

    /// Virtual IP address of the Kubernetes API
    #[arg(long, value_name = "ADDRESS")]
    pub vip: Option<String>,

    /// Write over a file that is there
    #[arg(long)]
    pub force: bool,
}
