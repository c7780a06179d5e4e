//! A fleet on a stage: fake hosts whose registry has the image, and a stack of one service.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use foundry_host::fakes::{FakeClock, FakeHost};
use foundry_host::{Clock, Host};
use foundry_proto::layout;
use foundry_proto::operator::v1::{HostState, HostStatus, Plan, RunOutcome};
use foundry_tests::fleet::{Ended, Fleet, Member, PATIENCE};
use tokio::net::TcpListener;

/// A fleet, its hosts, and what the service's health check dials.
pub(crate) struct Stage {
    pub(crate) fleet: Fleet,
    pub(crate) members: Vec<Member>,
    pub(crate) hosts: Vec<FakeHost>,
    answering: TcpListener,
}

// === impl Stage ===

impl Stage {
    /// A fleet with this many enrolled hosts: `node1`, `node2`, ….
    pub(crate) async fn new(count: usize) -> Result<Self> {
        let answering = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let mut stage = Self {
            fleet: Fleet::start().await?,
            members: Vec::new(),
            hosts: Vec::new(),
            answering,
        };
        for number in 1..=count {
            stage.enrol(&format!("node{number}")).await?;
        }
        Ok(stage)
    }

    /// Enrols one more host.
    pub(crate) async fn enrol(&mut self, hostname: &str) -> Result<()> {
        let host = FakeHost::new();
        // The agent's own unit is a file of this machine, which the fake systemd does not see.
        host.systemd.install(layout::AGENT_UNIT);
        host.runtimes
            .containers()
            .offer("localhost/whoami:1", "sha256:one", &[]);
        host.runtimes
            .containers()
            .offer("localhost/whoami:2", "sha256:two", &[]);
        self.members
            .push(self.fleet.enrol(hostname, today(&host)).await?);
        self.hosts.push(host);
        Ok(())
    }

    /// A stack with the service on every host; `tag` is its image's.
    pub(crate) fn stack(&self, tag: &str) -> Result<String> {
        let mut text = format!(
            "version: \"1\"\nfleet: {}\ncluster: {{ name: test }}\ncontroller: {{ listen: \"{}\" }}\nhosts:\n",
            self.fleet.id(),
            self.fleet.listen(),
        );
        for member in &self.members {
            text += &format!(
                "  - {{ hostname: {0}, address: {0}.example.com }}\n",
                member.hostname
            );
        }
        text += &format!(
            "services:\n  - name: whoami\n    image: localhost/whoami:{tag}\n    health: {{ tcp: \"{}\" }}\n",
            self.answering.local_addr()?
        );
        Ok(text)
    }

    /// Plans a stack and carries the plan out.
    pub(crate) async fn install(&self, stack: &str) -> Result<Ended> {
        let plan = self.fleet.plan(stack).await?;
        ensure!(plan.problems.is_empty(), "{:?}", plan.problems);
        self.fleet.carry_out(&plan).await
    }

    /// Plans a stack and carries the plan out, to a good end.
    pub(crate) async fn install_well(&self, stack: &str) -> Result<()> {
        let ended = self.install(stack).await?;
        ensure!(ended.outcome == RunOutcome::Ok, "{ended:?}");
        Ok(())
    }

    /// The plan has nothing to do.
    pub(crate) async fn nothing_to_do(&self, stack: &str) -> Result<()> {
        let plan = self.fleet.plan(stack).await?;
        ensure!(is_empty(&plan), "{plan:?}");
        Ok(())
    }

    /// Waits until a host's status is as it should be.
    pub(crate) async fn until(
        &self,
        hostname: &str,
        holds: impl Fn(&HostStatus) -> bool,
    ) -> Result<HostStatus> {
        let wait = async {
            loop {
                let status = self.status_of(hostname).await?;
                if holds(&status) {
                    return anyhow::Ok(status);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(status) => status,
            Err(_) => bail!(
                "{hostname} does not come to be so: {:?}",
                self.status_of(hostname).await?
            ),
        }
    }

    /// What the controller says about a host.
    pub(crate) async fn status_of(&self, hostname: &str) -> Result<HostStatus> {
        let report = self.fleet.status().await?;
        let found = report.hosts.into_iter().find(|host| host.name == hostname);
        found.with_context(|| format!("{hostname} in the status"))
    }
}

/// The host with its wall clock set right: certificates have to hold.
pub(crate) fn today(host: &FakeHost) -> Host {
    Host {
        clock: Arc::new(Today(Arc::clone(&host.clock))),
        ..host.host()
    }
}

/// A fake host's clock, with the wall clock of this machine.
struct Today(Arc<FakeClock>);

impl Clock for Today {
    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn boottime(&self) -> Duration {
        self.0.boottime()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Nothing to do at all.
pub(crate) fn is_empty(plan: &Plan) -> bool {
    plan.steps.is_empty()
        && plan.changes.is_empty()
        && plan.problems.is_empty()
        && plan.unreachable.is_empty()
}

/// Connected, and everything on it is healthy.
pub(crate) fn healthy(status: &HostStatus) -> bool {
    status.state() == HostState::Healthy
}
