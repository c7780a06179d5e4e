//! `cargo xtask demo`: from nothing to a fleet of real hosts with two healthy services.

use std::time::Duration;

use anyhow::{Result, ensure};
use foundry_testbed::{Host, Owner, Runtime, Wanted, http, until};
use fs_err as fs;

use crate::admin::{Admin, Service};
use crate::places::Places;
use crate::program::{self, cargo};
use crate::report::{Stages, say};
use crate::{agent, setup};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many hosts; the second one runs Podman, the others Docker.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=20))]
    hosts: u8,
    /// Take everything away.
    #[arg(long, conflicts_with = "hosts")]
    down: bool,
}

/// Builds everything, starts the hosts, installs the stack and asks the services.
pub(crate) fn run(places: &Places, options: &Options) -> Result<()> {
    let folder = places.demo();
    let program = places.target.join("debug/foundry");
    let admin = || {
        Admin::new(
            places,
            folder.clone(),
            Owner::Named("demo".into()),
            &program,
        )
    };
    if options.down {
        admin()?.forget()?;
        fs::remove_dir_all(&folder)?;
        say("the demo's hosts and files are gone");
        return Ok(());
    }
    let mut stages = Stages::default();
    stages.run("setup", || setup::run(places))?;
    stages.run("build the command and the agent", || build(places))?;
    let admin = admin()?;
    let hosts = stages.run("start the hosts", || start(&admin, options.hosts))?;
    let services = services(&hosts);
    stages.run("write stack.yaml and the images", || {
        admin.write_stack(&hosts, &services)
    })?;
    stages.run("foundry stack install", || {
        program::run(&mut admin.foundry(&["stack", "install", "--yes"]))
    })?;
    stages.run("ask the services", || services.iter().try_for_each(ask))?;
    stages.run("foundry status", || {
        program::run(&mut admin.foundry(&["status"]))
    })?;
    stages.print();
    say_how_to_look_around(places, &admin, &hosts);
    Ok(())
}

fn build(places: &Places) -> Result<()> {
    program::run(cargo(places).args(["build", "--quiet", "--package", "foundry"]))?;
    agent::build(places).map(drop)
}

/// Hosts that have nothing of foundry on them, and no state of an earlier demo.
fn start(admin: &Admin, count: u8) -> Result<Vec<Host>> {
    admin.forget()?;
    let wanted: Vec<Wanted> = (1..=count)
        .map(|number| {
            let runtime = if number == 2 {
                Runtime::Podman
            } else {
                Runtime::Docker
            };
            Wanted::new(format!("node{number}")).runtime(runtime)
        })
        .collect();
    let hosts = admin.testbed().up(&wanted)?;
    for host in &hosts {
        say(format!("{}  {}", host.name(), host.address()));
    }
    Ok(hosts)
}

/// One service on all hosts but the last, one on all but the first; a host alone runs both.
fn services(hosts: &[Host]) -> [Service<'_>; 2] {
    let (but_last, but_first) = match hosts {
        [_] | [] => (hosts, hosts),
        _ => (&hosts[..hosts.len() - 1], &hosts[1..]),
    };
    let service = |name, port| Service {
        name,
        port,
        hosts: Vec::new(),
        release: "1".into(),
    };
    [
        Service {
            hosts: but_last.iter().collect(),
            ..service("whoami", 8080)
        },
        Service {
            hosts: but_first.iter().collect(),
            ..service("hello", 8081)
        },
    ]
}

/// Asks a service on each of its hosts.
fn ask(service: &Service<'_>) -> Result<()> {
    for host in &service.hosts {
        let address = format!("{}:{}", host.address(), service.port);
        let answer = until(service.name, Duration::from_secs(10), || {
            http::get(&address, "/")
        })?;
        let name = format!("name: {}", service.name);
        ensure!(
            answer.status == 200 && answer.body.contains(&name),
            "{address} answered {answer:?}"
        );
        say(format!(
            "http://{address}/ on {}: {}",
            host.name(),
            answer.body.replace('\n', " ")
        ));
    }
    Ok(())
}

fn say_how_to_look_around(places: &Places, admin: &Admin, hosts: &[Host]) {
    say("\nLook around:\n");
    for (name, value) in admin.environment() {
        say(format!("  export {name}='{value}'"));
    }
    say(format!(
        "  export PATH={}:$PATH",
        places.target.join("debug")
    ));
    say("\n  foundry status --watch");
    say("  foundry stack install          # nothing to change");
    say(format!(
        "  $EDITOR {}   # then: foundry stack plan",
        admin.stack_file()
    ));
    if let Some(host) = hosts.first() {
        say(format!(
            "  ssh -F {} {}",
            admin.testbed().ssh().config(),
            host.address()
        ));
        say(format!(
            "  DOCKER_HOST=unix:///run/foundry-test/docker.sock docker restart {}   # a reboot",
            host.container()
        ));
    }
    say("\nTake it away: cargo xtask demo --down");
}
