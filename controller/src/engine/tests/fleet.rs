//! A fleet in a temporary folder.

use std::sync::Arc;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use foundry_link::pki::HostKey;
use foundry_link::tls::Credentials;
use foundry_proto::FleetId;
use foundry_proto::operator::v1::{
    EnrolReply, EnrolRequest, Goal, Plan, PlanRequest, Run, RunEvent, RunOutcome, StartRunRequest,
    StepOutcome, StepRecord,
};
use futures_util::StreamExt as _;
use rustls::pki_types::CertificateDer;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::host::Host;
use crate::artifacts::Artifacts;
use crate::daemon::Activity;
use crate::engine::{Engine, EngineError, Parts, Timing};
use crate::state::{Authorities, Paths, create_fleet};
use crate::store::{Repositories, SealKey, Sqlite};

/// Long enough for a slow machine; every wait is for a condition.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// As long as a test may take to see something given up.
pub(super) const SHORT: Timing = Timing {
    step: Duration::from_secs(10),
    away: Duration::from_millis(300),
    first_report: Duration::from_millis(500),
    last_report: Duration::from_millis(200),
    answer: Duration::from_millis(300),
};

/// A fleet with its engine. The folder outlives the engine, so that another can be started on it.
pub(super) struct Fleet {
    pub(super) engine: Engine,
    pub(super) id: FleetId,
    pub(super) home: Utf8PathBuf,
    listen: String,
    stop: CancellationToken,
    _folder: Arc<TempDir>,
}

// === impl Fleet ===

impl Fleet {
    pub(super) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Utf8Path::from_path(folder.path()).unwrap().to_owned();
        let id = create_fleet(&home, "test").unwrap();
        let stop = CancellationToken::new();
        let engine = engine(&home, &id, "127.0.0.1:0", &stop).await;
        // From now on always at the same place, as agents know it.
        let listen = engine.info().listen;
        engine.inner.listener.relocate(&listen).await.unwrap();
        engine.inner.listener.ensure().await.unwrap();
        Self {
            engine,
            id,
            home,
            listen,
            stop,
            _folder: Arc::new(folder),
        }
    }

    /// The process ends, in whatever it is, and another takes over.
    pub(super) async fn restart(mut self) -> Self {
        self.stop.cancel();
        self.engine.stopped(PATIENCE).await;
        self.stop = CancellationToken::new();
        let replaced = engine(&self.home, &self.id, &self.listen, &self.stop);
        self.engine = replaced.await;
        self
    }

    /// A stack.yaml of this fleet with these hosts, and a service on each of them.
    pub(super) fn spec(&self, hosts: &[&str], image_tag: &str) -> String {
        let listed: String = hosts
            .iter()
            .enumerate()
            .map(|(n, host)| format!("  - hostname: {host}\n    address: 198.18.0.{}\n", n + 1))
            .collect();
        let on = hosts.join(", ");
        format!(
            "version: \"1\"\nfleet: {}\ncluster:\n  name: test\ncontroller:\n  listen: \"{}\"\nhosts:\n{listed}\
             services:\n  - name: web\n    image: docker.io/library/web:{image_tag}\n    hosts: [{on}]\n",
            self.id, self.listen
        )
    }

    /// A host with its own key, enrolled.
    pub(super) async fn enrol(&self, hostname: &str) -> Host {
        let key = HostKey::generate().unwrap();
        let reply = self.engine.enrol(enrolment(hostname, &key)).await.unwrap();
        self.host(&key, reply)
    }

    pub(super) fn host(&self, key: &HostKey, reply: EnrolReply) -> Host {
        let der = |bytes: bytes::Bytes| CertificateDer::from(bytes.to_vec());
        let credentials = Credentials::new(
            reply.chain.into_iter().map(der).collect(),
            key.private_key_der(),
            reply.trusted_cas.into_iter().map(der).collect(),
            &self.id,
            std::time::SystemTime::now(),
        );
        Host::new(
            reply.host_id.parse().unwrap(),
            self.id.clone(),
            self.engine.info().listen.parse().unwrap(),
            Arc::new(credentials.unwrap()),
        )
    }

    pub(super) async fn plan(&self, spec: &str) -> Plan {
        self.plan_for(spec, Goal::Install).await
    }

    pub(super) async fn plan_for(&self, spec: &str, goal: Goal) -> Plan {
        let request = PlanRequest {
            spec: spec.to_owned().into(),
            goal: goal.into(),
            patience_ms: 50,
            ..PlanRequest::default()
        };
        self.engine.plan(request).await.unwrap()
    }

    pub(super) async fn start_run(&self, plan: &Plan) -> Result<String, EngineError> {
        let request = StartRunRequest {
            plan_id: plan.id.clone(),
            who: "anna@desk".to_owned(),
            ..StartRunRequest::default()
        };
        self.engine.start_run(request).await
    }

    /// Runs this plan to its end.
    pub(super) async fn run(&self, plan: &Plan) -> Run {
        let id = self.start_run(plan).await.unwrap();
        self.ended(&id).await
    }

    /// What happened in a run until it ended.
    pub(super) async fn events(&self, id: &str) -> Vec<RunEvent> {
        let events = self.engine.watch_run(id, 0).await.unwrap();
        tokio::time::timeout(PATIENCE, events.collect())
            .await
            .expect("the run ends")
    }

    pub(super) async fn ended(&self, id: &str) -> Run {
        self.events(id).await;
        self.engine.get_run(id).await.unwrap()
    }

    /// Plans and runs until the hosts have what the file wants.
    pub(super) async fn install(&self, spec: &str) {
        let plan = self.plan(spec).await;
        let run = self.run(&plan).await;
        assert_eq!(run.outcome(), RunOutcome::Ok, "{run:?}");
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What the command line brings from a host's ssh session.
pub(super) fn enrolment(hostname: &str, key: &HostKey) -> EnrolRequest {
    EnrolRequest {
        hostname: hostname.to_owned(),
        address: "198.18.0.1".to_owned(),
        csr: key.csr_der().unwrap().to_vec().into(),
        seen_address: "198.18.0.254".to_owned(),
        ..EnrolRequest::default()
    }
}

pub(super) fn step<'a>(run: &'a Run, id: &str) -> &'a StepRecord {
    run.steps
        .iter()
        .find(|step| step.id == id)
        .expect("a step of this id")
}

pub(super) fn outcomes(run: &Run) -> Vec<(&str, StepOutcome)> {
    run.steps
        .iter()
        .map(|step| (step.id.as_str(), step.outcome()))
        .collect()
}

async fn engine(home: &Utf8Path, id: &FleetId, listen: &str, stop: &CancellationToken) -> Engine {
    let paths = Paths::new(home, id);
    let seal = SealKey::new(&Authorities::seal_key(&paths).unwrap());
    let authorities = Authorities::load(&paths).unwrap();
    let now = std::time::SystemTime::now();
    let leaf = authorities.fleet().issue_controller(id, now).unwrap();
    let trusted = vec![authorities.fleet().certificate_der().clone()];
    let credentials = Credentials::new(leaf.chain, leaf.key, trusted, id, now).unwrap();
    // Nobody renews it here; a receiver goes on with what was sent last.
    let (_, credentials) = watch::channel(Arc::new(credentials));
    let store = Arc::new(Sqlite::open(&paths.store()).unwrap());
    let parts = Parts {
        fleet: id.clone(),
        store: Repositories::new(store, seal),
        authorities,
        artifacts: Artifacts::open(&paths.artifacts()).unwrap(),
        credentials,
        listen: listen.to_owned(),
        activity: Activity::default(),
        timing: SHORT,
    };
    Engine::start(parts, stop.clone()).await.unwrap()
}
