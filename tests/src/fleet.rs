//! A controller and its agents in one process: the real ones, over real mTLS on a port of the kernel's choice.
//!
//! Only the hosts are fakes (`foundry_host::fakes`). State lies in a folder that goes with the [`Fleet`]. Enrolment is the
//! real dialogue, with this module in the place of the command line.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::{Bytes, BytesMut};
use camino::{Utf8Path, Utf8PathBuf};
use foundry::api::client::{Client, Start, connect};
use foundry::cli::Environment;
use foundry::daemon::{self, Options};
use foundry::state::{Paths, create_fleet};
use foundry_agent::config::Places;
use foundry_agent::enrol::Enroller;
use foundry_agent::executor::Build;
use foundry_agent::run::{Agent, Config};
use foundry_host::Host;
use foundry_proto::agent::v1::enrol_message::Body;
use foundry_proto::agent::v1::{EnrolGrant, EnrolMessage, enrol_result::Kind};
use foundry_proto::operator::v1 as operator;
use foundry_proto::{FleetId, framing};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;

/// How long anything here may take before the test is given up.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A fleet with a running controller.
pub struct Fleet {
    folder: tempfile::TempDir,
    id: FleetId,
    listen: String,
    running: Option<Running>,
}

struct Running {
    client: Client,
    stop: CancellationToken,
    serving: JoinHandle<Result<(), daemon::DaemonError>>,
}

/// An enrolled host of a fleet, and its agent while that runs.
pub struct Member {
    /// Its name in the stack.
    pub hostname: String,
    /// Where its agent's files are.
    pub places: Places,
    /// What its agent sees of the host.
    pub host: Arc<Host>,
    boot_id: String,
    agent: Option<Agent>,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Of the whole run.
    pub outcome: operator::RunOutcome,
    /// Of each step.
    pub steps: Vec<operator::StepRecord>,
}

// === impl Fleet ===

impl Fleet {
    /// A new fleet, its controller listening on loopback.
    ///
    /// # Errors
    /// When its state cannot be made or the controller does not start.
    pub async fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("fleet").tempdir()?;
        let home = Utf8Path::from_path(folder.path())
            .context("the folder's name")?
            .join("home");
        let id = create_fleet(&home, "test")?;
        let mut fleet = Self {
            folder,
            id,
            listen: "127.0.0.1:0".into(),
            running: None,
        };
        fleet.start_controller().await?;
        Ok(fleet)
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &FleetId {
        &self.id
    }

    /// Where its state lies.
    #[must_use]
    pub fn paths(&self) -> Paths {
        Paths::new(&self.home(), &self.id)
    }

    /// Where agents dial.
    #[must_use]
    pub fn listen(&self) -> &str {
        &self.listen
    }

    /// Starts the controller after [`Self::stop_controller`]: at the same address, from the same state.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_controller(&mut self) -> Result<()> {
        let options = Options {
            home: self.home(),
            fleet: self.id.clone(),
            idle_exit: None,
            listen: Some(self.listen.clone()),
        };
        let stop = CancellationToken::new();
        let (tell, told) = oneshot::channel();
        let serving = tokio::spawn(daemon::run(options, stop.clone(), |ready| {
            let _ = tell.send(ready);
        }));
        let Ok(ready) = tokio::time::timeout(PATIENCE, told).await? else {
            serving.await??;
            bail!("the controller ended before it was ready");
        };
        ensure!(ready.listen_error.is_empty(), "{}", ready.listen_error);
        self.listen = ready.listen;
        let client = connect(&Environment::read(), &self.paths(), &Start::Never).await;
        let client = client.map_err(|error| anyhow::anyhow!("{error:?}"))?;
        self.running = Some(Running {
            client,
            stop,
            serving,
        });
        Ok(())
    }

    /// Ends the controller and waits until it has.
    ///
    /// # Errors
    /// When it does not end well.
    pub async fn stop_controller(&mut self) -> Result<()> {
        let running = self.running.take().context("the controller does not run")?;
        running.stop.cancel();
        drop(running.client);
        Ok(tokio::time::timeout(PATIENCE, running.serving).await???)
    }

    /// The operator API.
    ///
    /// # Errors
    /// When the controller does not run.
    pub fn operator(&self) -> Result<Client> {
        Ok(self
            .running
            .as_ref()
            .context("the controller does not run")?
            .client
            .clone())
    }

    /// Enrols a host and starts its agent; returns when its session is up.
    ///
    /// # Errors
    /// When either side refuses.
    pub async fn enrol(&self, hostname: &str, host: Host) -> Result<Member> {
        let root = self.home().with_file_name(format!("host-{hostname}"));
        let mut member = Member {
            hostname: hostname.into(),
            places: Places::below(&root),
            host: Arc::new(host),
            boot_id: format!("boot-{hostname}-1"),
            agent: None,
        };
        member.enrol(self).await?;
        member.start().await?;
        let wanted = operator::AwaitHostRequest {
            hostname: hostname.into(),
            timeout_ms: u64::try_from(PATIENCE.as_millis())?,
            ..Default::default()
        };
        self.operator()?
            .await_host(wanted)
            .await
            .context("its session")?;
        Ok(member)
    }

    /// The plan for a stack.
    ///
    /// # Errors
    /// When the controller refuses.
    pub async fn plan(&self, stack: &str) -> Result<operator::Plan> {
        self.plan_with(stack, Vec::new()).await
    }

    /// The plan for a stack with image archives.
    ///
    /// # Errors
    /// When the controller refuses.
    pub async fn plan_with(
        &self,
        stack: &str,
        archives: Vec<operator::Archive>,
    ) -> Result<operator::Plan> {
        let request = operator::PlanRequest {
            spec: Bytes::from(stack.to_owned()),
            goal: operator::Goal::Install.into(),
            archives,
            ..Default::default()
        };
        Ok(self
            .operator()?
            .plan(request)
            .await
            .context("plan")?
            .into_inner())
    }

    /// Carries out a plan and waits for its end.
    ///
    /// # Errors
    /// When the controller refuses or the run does not end in time.
    pub async fn carry_out(&self, plan: &operator::Plan) -> Result<Ended> {
        let mut operator = self.operator()?;
        let request = operator::StartRunRequest {
            plan_id: plan.id.clone(),
            who: "test".into(),
            on_failure: operator::OnFailure::Continue.into(),
            ..Default::default()
        };
        let run = operator
            .start_run(request)
            .await
            .context("start the run")?
            .into_inner()
            .run;
        let watch = operator::WatchRunRequest { run, after: 0 };
        let mut events = operator
            .watch_run(watch)
            .await
            .context("watch the run")?
            .into_inner();
        let mut steps = Vec::new();
        let follow = async {
            while let Some(event) = events.next().await {
                match event?.body {
                    Some(operator::run_event::Body::StepEnded(ended)) => steps.extend(ended.record),
                    Some(operator::run_event::Body::RunEnded(ended)) => return Ok(ended.outcome()),
                    _ => {}
                }
            }
            bail!("the run's events ended before the run")
        };
        let outcome = tokio::time::timeout(PATIENCE, follow)
            .await
            .context("the run does not end")??;
        Ok(Ended { outcome, steps })
    }

    /// What `foundry status` would show now.
    ///
    /// # Errors
    /// When the controller refuses.
    pub async fn status(&self) -> Result<operator::StatusReport> {
        let mut reports = self
            .operator()?
            .status(operator::StatusRequest::default())
            .await?
            .into_inner();
        reports
            .next()
            .await
            .context("a report")?
            .context("a report")
    }

    fn home(&self) -> Utf8PathBuf {
        let folder =
            Utf8Path::from_path(self.folder.path()).unwrap_or(Utf8Path::new("/nonexistent"));
        folder.join("home")
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.stop.cancel();
        }
    }
}

// === impl Member ===

impl Member {
    /// Starts the agent from what is in its places.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(&mut self) -> Result<()> {
        let build = Build::of_this_process()?;
        let mut config = Config::read(self.places.clone())?;
        config.build = build;
        config.boot_id = self.boot_id.clone();
        self.agent = Some(Agent::start(config, Arc::clone(&self.host)).await?);
        Ok(())
    }

    /// Ends the agent as SIGTERM does.
    ///
    /// # Errors
    /// When it did not run, or something in it does not end.
    pub async fn stop(&mut self) -> Result<()> {
        let agent = self.agent.take().context("the agent does not run")?;
        ensure!(
            agent.stop(PATIENCE).await,
            "something in the agent does not end"
        );
        Ok(())
    }

    /// The next start of its agent is after a reboot.
    pub fn rebooted(&mut self, boot_id: &str) {
        boot_id.clone_into(&mut self.boot_id);
    }

    /// The running agent.
    ///
    /// # Errors
    /// When it does not run.
    pub fn agent(&self) -> Result<&Agent> {
        self.agent.as_ref().context("the agent does not run")
    }

    /// The dialogue of enrolment, this process between agent and controller.
    async fn enrol(&self, fleet: &Fleet) -> Result<()> {
        let program = self
            .places
            .agents()
            .join("0".repeat(64))
            .join("bin/foundry-agent");
        fs_err::create_dir_all(program.parent().context("its folder")?)?;
        fs_err::write(&program, "")?;
        let enroller = Enroller {
            places: self.places.clone(),
            host: Arc::clone(&self.host),
            program,
        };
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (read, write) = tokio::io::split(theirs);
        let (agent, relayed) = tokio::join!(
            enroller.converse(read, write),
            relay(fleet, &self.hostname, ours)
        );
        relayed?;
        Ok(agent?)
    }
}

/// Passes the agent's offer on to the controller, and the controller's grant back.
async fn relay(fleet: &Fleet, hostname: &str, mut agent: DuplexStream) -> Result<()> {
    let mut buffer = BytesMut::new();
    let Body::Offer(offer) = hear(&mut agent, &mut buffer).await? else {
        bail!("no offer")
    };
    let request = operator::EnrolRequest {
        hostname: hostname.into(),
        address: "127.0.0.1".into(),
        facts: offer.facts,
        csr: offer.csr,
        seen_address: "127.0.0.1".into(),
        current: offer.current,
        advertise: vec![fleet.listen.clone()],
        ..Default::default()
    };
    let granted = fleet
        .operator()?
        .enrol(request)
        .await
        .context("enrol")?
        .into_inner();
    let grant = EnrolGrant {
        fleet: granted.fleet,
        host_id: granted.host_id,
        hostname: hostname.into(),
        chain: granted.chain,
        trusted_cas: granted.trusted_cas,
        addresses: granted.addresses,
        hmac_key: granted.hmac_key,
        epoch: granted.epoch,
    };
    agent
        .write_all(&framing::encode(&EnrolMessage {
            body: Some(Body::Grant(grant)),
        }))
        .await?;
    let Body::Result(result) = hear(&mut agent, &mut buffer).await? else {
        bail!("no result")
    };
    ensure!(result.kind() == Kind::Enrolled, "{result:?}");
    Ok(())
}

async fn hear(stream: &mut DuplexStream, buffer: &mut BytesMut) -> Result<Body> {
    loop {
        if let Some(message) = framing::decode::<EnrolMessage>(buffer)? {
            return message.body.context("an empty message");
        }
        ensure!(stream.read_buf(buffer).await? > 0, "the agent hung up");
    }
}
