//! The engine: plans, runs, enrolment and status of one fleet.
//!
//! [`Engine`] is the handle that the operator API holds; clones are the same engine. Behind it:
//!
//! * `core`: store, authorities and the fleet in memory (`view`), shared with the hub, for which it is the backend;
//! * `listener`: the hub, which may not be there while its port is taken;
//! * `pump`: one task that takes what the hub tells into the view and passes it on;
//! * `planning`: from a stack.yaml and what the hosts say to a plan that is kept for half an hour;
//! * `run`: one task per run, and one per step under way;
//! * `keeper`: one task that writes down what may be lost with the process.
//!
//! What is acknowledged to a host, or answered to an operator, is in the store before. A run belongs to the engine, not to
//! the command that started it.

mod advertise;
mod backend;
mod clock;
mod core;
mod error;
mod events;
mod hosts;
mod keeper;
mod lease;
mod listener;
mod planning;
mod pump;
mod run;
mod status;
mod telling;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;
use std::time::{Duration, Instant};

use foundry_link::tls::Credentials;
use foundry_proto::FleetId;
use foundry_proto::operator::v1::Info;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use error::EngineError;
pub use run::Timing;

use self::core::Core;
use self::listener::Listener;
use self::planning::Plans;
use self::run::Registry;
use crate::artifacts::Artifacts;
use crate::daemon::Activity;
use crate::state::Authorities;
use crate::store::Repositories;

/// What an engine is made of.
pub struct Parts {
    /// Its fleet.
    pub fleet: FleetId,
    /// What is kept.
    pub store: Repositories,
    /// The fleet's CAs.
    pub authorities: Authorities,
    /// Files by digest.
    pub artifacts: Artifacts,
    /// What the hub shows; whoever renews it sends.
    pub credentials: watch::Receiver<Arc<Credentials>>,
    /// Where agents are listened for, `[::]:7443`.
    pub listen: String,
    /// Runs keep the controller alive.
    pub activity: Activity,
    /// How long things may take.
    pub timing: Timing,
}

/// The engine of one fleet.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    core: Arc<Core>,
    listener: Listener,
    plans: Plans,
    runs: Registry,
    activity: Activity,
    timing: Timing,
    tasks: TaskTracker,
    stop: CancellationToken,
    started: Instant,
}

// === impl Engine ===

impl Engine {
    /// Takes over what is stored and listens for agents. A port that is taken is no error here: see [`Self::info`].
    pub async fn start(parts: Parts, stop: CancellationToken) -> Result<Self, EngineError> {
        let Parts {
            fleet,
            store,
            authorities,
            artifacts,
            credentials,
            ..
        } = parts;
        let core = Arc::new(Core::load(fleet, store, authorities, artifacts).await?);
        run::take_over(&core).await?;
        let tasks = TaskTracker::new();
        tasks.spawn(keeper::run(Arc::clone(&core), stop.clone()));
        let listener = Listener::new(
            Arc::clone(&core),
            credentials,
            parts.listen,
            tasks.clone(),
            stop.clone(),
        );
        if let Err(error) = listener.ensure().await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "agents cannot connect"
            );
        }
        let inner = Inner {
            core,
            listener,
            plans: Plans::default(),
            runs: Registry::default(),
            activity: parts.activity,
            timing: parts.timing,
            tasks,
            stop,
            started: Instant::now(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Waits for everything that runs here, after `stop`.
    pub async fn stopped(&self, grace: Duration) {
        let Inner {
            tasks, listener, ..
        } = &*self.inner;
        tasks.close();
        let hub = async {
            if let Some(hub) = listener.hub() {
                hub.stopped().await;
            }
        };
        let ended = async { tokio::join!(tasks.wait(), hub) };
        if tokio::time::timeout(grace, ended).await.is_err() {
            tracing::warn!("some tasks did not end in time");
        }
    }

    /// The fleet's files by digest.
    pub fn artifacts(&self) -> &Artifacts {
        &self.inner.core.artifacts
    }

    /// The id of a run that is under way, if there is one.
    pub fn running(&self) -> Option<String> {
        self.inner.runs.any()
    }

    /// What this controller is, and how it does.
    pub fn info(&self) -> Info {
        let Inner {
            core,
            listener,
            started,
            ..
        } = &*self.inner;
        let error = listener.error();
        let uptime = started.elapsed().as_millis();
        Info {
            fleet: core.fleet.to_string(),
            store_id: core.store_id.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            listen: listener
                .local_addr()
                .map(|address| address.to_string())
                .unwrap_or_default(),
            listen_error: error.map(|error| error.to_string()).unwrap_or_default(),
            uptime_ms: u64::try_from(uptime).unwrap_or(u64::MAX),
            idle_exit_ms: 0,
            sessions: listener.hub().map_or(0, |hub| hub.sessions().len() as u32),
            protocol: *foundry_proto::PROTOCOL.end(),
            hosts: core.view.len() as u32,
        }
    }
}
