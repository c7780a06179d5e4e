//! `cargo xtask testbed`: real hosts to try things on.

use std::process::Command as Program;

use anyhow::{Context, Result};
use foundry_testbed::{Engine, Host, Owner, Runtime, Testbed, Wanted};

use crate::places::Places;
use crate::report::say;
use crate::{program, setup};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Start hosts: node1 with Docker, node2 with Podman, node3 with Docker, node4 bare, and again.
    Up {
        /// How many.
        #[arg(long, default_value_t = 1)]
        hosts: usize,
    },
    /// Open a shell on a host, or run a command there.
    Ssh {
        /// The host's address.
        address: String,
        /// The command line.
        #[arg(trailing_var_arg = true)]
        line: Vec<String>,
    },
    /// Remove the hosts.
    Down {
        /// Stop the engine too, with everything that runs on it.
        #[arg(long)]
        engine: bool,
    },
}

/// Carries out one of the commands.
pub(crate) fn run(places: &Places, command: Command) -> Result<()> {
    let open = || {
        Testbed::open(
            Owner::Named("testbed".into()),
            &places.target.join("testbed"),
        )
    };
    match command {
        Command::Up { hosts } => {
            setup::run(places)?;
            let testbed = open()?;
            testbed.down()?;
            let hosts = testbed.up(&wanted(hosts))?;
            hosts.iter().for_each(print);
            say(format!("export FOUNDRY_SSH='{}'", testbed.ssh().program()));
            Ok(())
        }
        Command::Ssh { address, line } => {
            let config = open()?.ssh().config();
            program::run(
                Program::new("ssh")
                    .args(["-F", config.as_str(), &address])
                    .args(line),
            )
        }
        Command::Down { engine } => {
            let count = open()?.down().context("remove the hosts")?;
            say(format!("{count} hosts removed"));
            if engine { Engine::stop() } else { Ok(()) }
        }
    }
}

fn wanted(count: usize) -> Vec<Wanted> {
    let runtimes = [
        Runtime::Docker,
        Runtime::Podman,
        Runtime::Docker,
        Runtime::None,
    ];
    (0..count)
        .map(|index| Wanted::new(format!("node{}", index + 1)).runtime(runtimes[index % 4]))
        .collect()
}

fn print(host: &Host) {
    say(format!(
        "{}  {}  (container {})",
        host.name(),
        host.address(),
        host.container()
    ));
}
