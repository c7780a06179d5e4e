//! `cargo xtask bench`: how long things take, each beside a baseline that was measured in the same run.
//!
//! Nothing here passes or fails: the machine is shared, and a budget is judged by a person. docs/performance.md keeps what
//! was measured.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use foundry_testbed::{Host, Owner, Wanted, http, run as finish, until};
use fs_err as fs;

use crate::admin::{Admin, Service};
use crate::places::Places;
use crate::program::{self, cargo};
use crate::report::{Stages, say};
use crate::{agent, setup};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many hosts.
    #[arg(long, default_value_t = 6)]
    hosts: u8,
    /// How often short things are repeated; the median is printed.
    #[arg(long, default_value_t = 5)]
    times: usize,
}

const PORT: u16 = 8080;

/// How long an idle agent is watched.
const IDLE: Duration = Duration::from_secs(60);

/// Measures and prints.
pub(crate) fn run(places: &Places, options: &Options) -> Result<()> {
    let mut stages = Stages::default();
    stages.run("setup", || setup::run(places))?;
    stages.run("build as released", || {
        program::run(cargo(places).args([
            "build",
            "--quiet",
            "--release",
            "--package",
            "foundry",
        ]))?;
        agent::build(places).map(drop)
    })?;
    let program = places.target.join("release/foundry");
    let folder = places.target.join("bench");
    let admin = Admin::new(places, folder, Owner::Named("bench".into()), &program)?;
    admin.forget()?;
    let wanted: Vec<Wanted> = (1..=options.hosts)
        .map(|number| Wanted::new(format!("node{number}")))
        .collect();
    let hosts = stages.run("start the hosts", || admin.testbed().up(&wanted))?;
    let bench = Bench {
        admin: &admin,
        hosts: &hosts,
        times: options.times,
    };
    let measured = bench.measure(places);
    admin.forget()?;
    measured
}

struct Bench<'a> {
    admin: &'a Admin,
    hosts: &'a [Host],
    times: usize,
}

// === impl Bench ===

impl Bench<'_> {
    fn measure(&self, places: &Places) -> Result<()> {
        let count = self.hosts.len();
        say("\n=== measured");
        let login = self.median(|| self.on_first("true"))?;
        say(format!("{:>9}  ssh host true (baseline)", text(login)));
        self.command_start()?;

        let by_hand = self.by_hand()?;
        let (copied, started) = (by_hand.copy, by_hand.start);
        say(format!(
            "{:>9}  by hand: the image to {count} hosts at once, and loaded (baseline)",
            text(copied)
        ));
        say(format!(
            "{:>9}  by hand: from start to answer on {count} hosts (baseline)",
            text(started)
        ));

        let copy = self.median(|| self.copy_agent(places))?;
        say(format!(
            "{:>9}  the agent's bytes to one host by ssh (baseline)",
            text(copy)
        ));
        self.write("1")?;
        let first = once(|| self.foundry(&["host", "bootstrap", "node1"]))?;
        line(
            "bootstrap of one host, first time (controller started too)",
            first,
            "copying the bytes",
            copy,
        );
        let again = self.median(|| self.foundry(&["host", "bootstrap", "node1"]))?;
        line(
            "bootstrap of one host, again",
            again,
            "ssh host true",
            login,
        );

        let bare = once(|| self.install_and_ask("1"))?;
        line(
            &format!("bare hosts to healthy service, {count} hosts"),
            bare,
            "by hand",
            copied + started,
        );
        let mut release = 1;
        let changed = self.median(|| {
            release += 1;
            self.write(&release.to_string())?;
            self.install_and_ask(&release.to_string())
        })?;
        line(
            &format!("one changed service on {count} hosts"),
            changed,
            "start to answer by hand",
            started,
        );

        let nothing = self.median(|| self.foundry(&["stack", "install", "--yes"]))?;
        line(
            "install with nothing to do, controller up",
            nothing,
            "ssh host true",
            login,
        );
        let started = self.median_of(
            || self.foundry(&["controller", "stop"]),
            || self.foundry(&["stack", "install", "--yes"]),
        )?;
        line(
            "the same, controller to be started",
            started,
            "controller up",
            nothing,
        );
        self.idle_agent(places)
    }

    fn command_start(&self) -> Result<()> {
        let nothing =
            self.median(|| finish(&mut Command::new("/bin/true"))?.success().map(drop))?;
        let start = self.median(|| self.foundry(&["--version"]))?;
        line("the command, to its version", start, "/bin/true", nothing);
        Ok(())
    }

    /// What a person with a loop would do: copy, load, run, wait for the answer, on all hosts at once.
    fn by_hand(&self) -> Result<ByHand> {
        self.write("0")?;
        let archive = self.admin.stack_file().with_file_name("whoami.tar");
        let copy = once(|| {
            self.everywhere(|host| {
                let file = fs::File::open(&archive)?.into_parts().0;
                self.ssh(host, "docker load", Stdio::from(file))
            })
        })?;
        let start = once(|| {
            self.everywhere(|host| {
                let run = format!(
                    "docker run -d --name by-hand -e RELEASE=0 -p {PORT}:80 localhost/whoami:1"
                );
                self.ssh(host, &run, Stdio::null())?;
                release_is(host, "0")
            })
        })?;
        self.everywhere(|host| {
            self.ssh(
                host,
                "docker rm -f by-hand && docker rmi localhost/whoami:1",
                Stdio::null(),
            )
        })?;
        Ok(ByHand { copy, start })
    }

    fn copy_agent(&self, places: &Places) -> Result<()> {
        let packed = self.admin.stack_file().with_file_name("agent.gz");
        if !packed.exists() {
            let agent = places.agents().join("foundry-agent-x86_64");
            let gzip = Command::new("gzip")
                .args(["-c", agent.as_str()])
                .output()
                .context("gzip")?;
            fs::write(&packed, gzip.stdout)?;
        }
        let file = fs::File::open(&packed)?.into_parts().0;
        self.ssh(&self.hosts[0], "gunzip > /tmp/copied", Stdio::from(file))
    }

    fn write(&self, release: &str) -> Result<()> {
        let service = Service {
            name: "whoami",
            port: PORT,
            hosts: self.hosts.iter().collect(),
            release: release.into(),
        };
        self.admin.write_stack(self.hosts, &[service])
    }

    /// Done when every host answers with the new release.
    fn install_and_ask(&self, release: &str) -> Result<()> {
        self.foundry(&["stack", "install", "--yes"])?;
        self.everywhere(|host| release_is(host, release))
    }

    fn idle_agent(&self, places: &Places) -> Result<()> {
        let size = fs::metadata(places.agents().join("foundry-agent-x86_64"))?.len();
        say(format!("{:>6.2} MB  the agent's file", size as f64 / 1e6));
        let process = "pid=$(systemctl show --property MainPID --value foundry-agent); ";
        let host = &self.hosts[0];
        let ticks = || -> Result<f64> {
            let stat = host.exec(&format!("{process} cut -d' ' -f14,15 /proc/$pid/stat"))?;
            Ok(stat
                .split(' ')
                .filter_map(|ticks| ticks.parse::<f64>().ok())
                .sum())
        };
        let before = ticks()?;
        std::thread::sleep(IDLE);
        // A hundred ticks a second.
        let share = (ticks()? - before) / IDLE.as_secs_f64();
        let resident = host.exec(&format!(
            "{process} awk '/VmRSS/ {{print $2}}' /proc/$pid/status"
        ))?;
        say(format!(
            "{:>6.2} MB  the agent, resident",
            resident.parse::<f64>()? * 1024.0 / 1e6
        ));
        say(format!(
            "{share:>7.3} %  of a core, the agent idle for {} s",
            IDLE.as_secs()
        ));
        Ok(())
    }

    // --- small things ---

    fn foundry(&self, arguments: &[&str]) -> Result<()> {
        finish(self.admin.foundry(arguments).stdin(Stdio::null()))?
            .success()
            .map(drop)
    }

    fn on_first(&self, line: &str) -> Result<()> {
        self.ssh(&self.hosts[0], line, Stdio::null())
    }

    fn ssh(&self, host: &Host, line: &str, input: Stdio) -> Result<()> {
        let config = self.admin.testbed().ssh().config();
        let mut ssh = Command::new("ssh");
        let status = ssh
            .args(["-F", config.as_str(), host.address(), line])
            .stdin(input)
            .stdout(Stdio::null())
            .status()?;
        ensure!(status.success(), "`{line}` on {}: {status}", host.name());
        Ok(())
    }

    fn everywhere(&self, work: impl Fn(&Host) -> Result<()> + Sync) -> Result<()> {
        std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .hosts
                .iter()
                .map(|host| scope.spawn(|| work(host)))
                .collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().ok().context("a thread panicked")?)
        })
    }

    fn median(&self, work: impl FnMut() -> Result<()>) -> Result<Duration> {
        self.median_of(|| Ok(()), work)
    }

    /// The median time of `work`; `before` each time is not counted.
    fn median_of(
        &self,
        mut before: impl FnMut() -> Result<()>,
        mut work: impl FnMut() -> Result<()>,
    ) -> Result<Duration> {
        let mut times = Vec::with_capacity(self.times);
        for _ in 0..self.times.max(1) {
            before()?;
            times.push(once(&mut work)?);
        }
        times.sort();
        Ok(times[times.len() / 2])
    }
}

struct ByHand {
    copy: Duration,
    start: Duration,
}

fn once(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

fn release_is(host: &Host, release: &str) -> Result<()> {
    let address = format!("{}:{PORT}", host.address());
    until(
        &format!("release {release} on {}", host.name()),
        Duration::from_secs(60),
        || {
            let answer = http::get(&address, "/env/RELEASE")?;
            ensure!(answer.body.trim() == release, "{answer:?}");
            Ok(())
        },
    )
}

fn line(what: &str, time: Duration, beside: &str, baseline: Duration) {
    let ratio = time.as_secs_f64() / baseline.as_secs_f64();
    say(format!(
        "{:>9}  {what}: {ratio:.2} × {beside} ({})",
        text(time),
        text(baseline)
    ));
}

fn text(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{:.1} ms", time.as_secs_f64() * 1e3)
    } else {
        format!("{:.2} s", time.as_secs_f64())
    }
}
