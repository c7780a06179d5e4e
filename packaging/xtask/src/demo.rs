//! `cargo xtask demo`: from nothing to a fleet of real hosts with two healthy services.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use camino::Utf8PathBuf;
use foundry_testbed::{Host, ImageArchive, Owner, Runtime, Testbed, Wanted, http, until};
use fs_err as fs;

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

/// The services: name, port on the hosts, and which hosts of how many.
const SERVICES: [Service; 2] = [
    Service {
        name: "whoami",
        port: 8080,
        on: Share::AllButLast,
    },
    Service {
        name: "hello",
        port: 8081,
        on: Share::AllButFirst,
    },
];

struct Service {
    name: &'static str,
    port: u16,
    on: Share,
}

enum Share {
    AllButFirst,
    AllButLast,
}

/// Builds everything, starts the hosts, installs the stack and asks the services.
pub(crate) fn run(places: &Places, options: &Options) -> Result<()> {
    let demo = Demo {
        folder: places.demo(),
        places,
    };
    if options.down {
        return demo.down();
    }
    let mut stages = Stages::default();
    stages.run("setup", || setup::run(places))?;
    stages.run("build the command and the agent", || demo.build())?;
    let (testbed, hosts) = stages.run("start the hosts", || demo.up(options.hosts))?;
    stages.run("write stack.yaml and the images", || {
        demo.write_stack(&hosts)
    })?;
    stages.run("foundry stack install", || {
        program::run(demo.foundry(&testbed).args(["stack", "install", "--yes"]))
    })?;
    stages.run("ask the services", || ask(&hosts))?;
    stages.run("foundry status", || {
        program::run(demo.foundry(&testbed).arg("status"))
    })?;
    stages.print();
    demo.say_how_to_look_around(&testbed, &hosts);
    Ok(())
}

struct Demo<'p> {
    folder: Utf8PathBuf,
    places: &'p Places,
}

// === impl Demo ===

impl Demo<'_> {
    fn build(&self) -> Result<()> {
        program::run(cargo(self.places).args(["build", "--quiet", "--package", "foundry"]))?;
        agent::build(self.places).map(drop)
    }

    /// Hosts that have nothing of foundry on them, and no state of an earlier demo.
    fn up(&self, count: u8) -> Result<(Testbed, Vec<Host>)> {
        let testbed = self.testbed()?;
        self.forget(&testbed)?;
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
        let hosts = testbed.up(&wanted)?;
        for host in &hosts {
            say(format!("{}  {}", host.name(), host.address()));
        }
        Ok((testbed, hosts))
    }

    fn testbed(&self) -> Result<Testbed> {
        Testbed::open(Owner::Named("demo".into()), &self.folder.join("ssh"))
    }

    /// Stops the controller and removes hosts, state, images and the stack's file; the ssh folder stays in use.
    fn forget(&self, testbed: &Testbed) -> Result<()> {
        if self.folder.join("home").exists() && self.folder.join("stack.yaml").exists() {
            // Without a fleet there is none to stop.
            foundry_testbed::run(self.foundry(testbed).args(["controller", "stop"]))?;
        }
        testbed.down()?;
        for name in ["home", "stack.yaml", "whoami.tar", "hello.tar"] {
            let path = self.folder.join(name);
            match path.is_dir() {
                true => fs::remove_dir_all(path)?,
                false if path.exists() => fs::remove_file(path)?,
                false => {}
            }
        }
        Ok(())
    }

    fn down(&self) -> Result<()> {
        self.forget(&self.testbed()?)?;
        fs::remove_dir_all(&self.folder)?;
        say("the demo's hosts and files are gone");
        Ok(())
    }

    fn write_stack(&self, hosts: &[Host]) -> Result<()> {
        for service in &SERVICES {
            ImageArchive::new(format!("localhost/{}:1", service.name))
                .arguments(&["--name", service.name])
                .write(
                    &self.places.musl_binary("whoami"),
                    &self.archive(service.name),
                )?;
        }
        fs::write(self.folder.join("stack.yaml"), stack(hosts))?;
        Ok(())
    }

    fn archive(&self, name: &str) -> Utf8PathBuf {
        self.folder.join(format!("{name}.tar"))
    }

    /// The command, with the demo's own state, hosts and agent.
    fn foundry(&self, testbed: &Testbed) -> Command {
        let mut command = Command::new(self.places.target.join("debug/foundry"));
        command.envs(self.environment(testbed));
        command
    }

    fn environment(&self, testbed: &Testbed) -> [(&'static str, String); 4] {
        [
            ("FOUNDRY_HOME", self.folder.join("home").into_string()),
            (
                "FOUNDRY_CONFIG",
                self.folder.join("stack.yaml").into_string(),
            ),
            ("FOUNDRY_SSH", testbed.ssh().program()),
            ("FOUNDRY_AGENT_DIR", self.places.agents().into_string()),
        ]
    }

    fn say_how_to_look_around(&self, testbed: &Testbed, hosts: &[Host]) {
        say("\nLook around:\n");
        for (name, value) in self.environment(testbed) {
            say(format!("  export {name}='{value}'"));
        }
        say(format!(
            "  export PATH={}:$PATH",
            self.places.target.join("debug")
        ));
        say("\n  foundry status --watch");
        say("  foundry stack install          # nothing to change");
        say(format!(
            "  $EDITOR {}   # then: foundry stack plan",
            self.folder.join("stack.yaml")
        ));
        if let Some(host) = hosts.first() {
            say(format!(
                "  ssh -F {} {}",
                testbed.ssh().config(),
                host.address()
            ));
            say(format!(
                "  DOCKER_HOST=unix:///run/foundry-test/docker.sock docker restart {}   # a reboot",
                host.container()
            ));
        }
        say("\nTake it away: cargo xtask demo --down");
    }
}

// === impl Service ===

impl Service {
    /// The hosts that run it; a host alone runs everything.
    fn hosts<'h>(&self, all: &'h [Host]) -> &'h [Host] {
        match (&self.on, all) {
            (_, [_]) => all,
            (Share::AllButFirst, [_, rest @ ..]) | (Share::AllButLast, [rest @ .., _]) => rest,
            (_, []) => all,
        }
    }
}

/// Asks every service on each of its hosts.
fn ask(hosts: &[Host]) -> Result<()> {
    for service in &SERVICES {
        for host in service.hosts(hosts) {
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
    }
    Ok(())
}

/// The demo's stack.yaml.
fn stack(hosts: &[Host]) -> String {
    let mut text = String::from("version: \"1\"\nhosts:\n");
    for host in hosts {
        text += &format!(
            "  - hostname: {}\n    address: {}\n    user: root\n",
            host.name(),
            host.address()
        );
    }
    text += "services:\n";
    for service in &SERVICES {
        let Service { name, port, .. } = service;
        let names: Vec<&str> = service.hosts(hosts).iter().map(Host::name).collect();
        text += &format!(
            "  - name: {name}\n    image: localhost/{name}:1\n    image_archive: ./{name}.tar\n    hosts: [{}]\n    \
             ports: [\"{port}:80\"]\n    health: {{ http: \"http://127.0.0.1:{port}/health\" }}\n",
            names.join(", "),
        );
    }
    text
}
