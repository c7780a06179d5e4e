//! The agent within any process: in production its own, in tests one with many of them.

use std::io;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use foundry_host::Host;
use foundry_link::tls::{Clock, CredentialsError};
use foundry_proto::agent::v1::Refusal;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::Config;
use crate::artifacts::{self, Cache, Controller};
use crate::error_chain::ErrorChain;
use crate::executor::{Executor, Parts};
use crate::facts;
use crate::jobs::Jobs;
use crate::ledger::{Keeper, KeeperGone, Ledger, LedgerError, Times};
use crate::renewal::Renewal;
use crate::session::{self, Dialer, SessionStatus, State};

/// What may wait on its way to the session.
const OUTGOING: usize = 256;

/// How often artifacts that nobody names are looked for.
const PRUNE_EVERY: Duration = Duration::from_secs(600);

/// A running agent.
pub struct Agent {
    executor: Executor,
    keeper: Keeper,
    times: Times,
    jobs: Arc<Jobs>,
    session: watch::Receiver<SessionStatus>,
    tracker: TaskTracker,
    stop: CancellationToken,
}

/// Why an agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The ledger's thread.
    #[error("cannot start the ledger's thread")]
    Thread(#[source] io::Error),
    /// The ledger's thread ended at once.
    #[error(transparent)]
    Gone(#[from] KeeperGone),
    /// The certificate.
    #[error("the certificate of this host cannot be used")]
    Credentials(#[source] CredentialsError),
    /// The folder of artifacts.
    #[error("cannot use the folder of artifacts")]
    Artifacts(#[source] io::Error),
}

// === impl Agent ===

impl Agent {
    /// Starts an agent. It takes up what its ledger left open, and keeps a session with its controller, until it is stopped.
    pub async fn start(config: Config, host: Arc<Host>) -> Result<Self, StartError> {
        let Config {
            places,
            settings,
            identity,
            build,
            boot_id,
            unit,
        } = config;
        let times = Times::new(Arc::clone(&host.clock), &boot_id);
        let fleet = settings.fleet.clone();

        let (folder, now) = (places.ledger(), times.now());
        let opened = tokio::task::spawn_blocking(move || {
            Ledger::open(&folder, &Uuid::new_v4().simple().to_string(), &now)
        });
        let ledger = opened
            .await
            .map_err(|error| StartError::Thread(io::Error::other(error)))??;
        let floor = UNIX_EPOCH + Duration::from_millis(ledger.newest_time_ms());
        let keeper = Keeper::start(ledger).map_err(StartError::Thread)?;

        let clock = Arc::new(Clock::new(floor));
        let renewal = Renewal::new(places.clone(), settings, identity, Arc::clone(&clock))
            .map_err(StartError::Credentials)?;
        let renewal = Arc::new(renewal);
        let dialer = Dialer {
            addresses: renewal.addresses().borrow().clone(),
            credentials: renewal.credentials(),
            fleet: fleet.clone(),
            clock,
        };
        let source = Arc::new(Controller::new(dialer.clone()));
        let cache =
            Cache::open(places.artifacts(), source.clone()).map_err(StartError::Artifacts)?;
        let cache = Arc::new(cache);

        let jobs = Arc::new(Jobs::new(Arc::clone(&host), places, unit));
        let (outgoing, out) = mpsc::channel(OUTGOING);
        let executor = Executor::start(Parts {
            fleet,
            facts: facts::gather(&host).await,
            host,
            artifacts: cache.clone(),
            keeper: keeper.clone(),
            times: times.clone(),
            build,
            jobs: Arc::clone(&jobs),
            renewal: Some(Arc::clone(&renewal)),
            outgoing,
        })
        .await?;

        let stop = CancellationToken::new();
        let tracker = TaskTracker::new();
        let (status, session) = watch::channel(SessionStatus::default());
        let agent = Arc::new(executor.clone());
        tracker.spawn(session::run(dialer, agent, out, status, stop.clone()));
        tracker.spawn(follow_refusal(
            session.clone(),
            Arc::clone(&jobs),
            stop.clone(),
        ));
        tracker.spawn(follow_addresses(renewal.addresses(), source, stop.clone()));
        tracker.spawn(prune(keeper.clone(), cache, stop.clone()));
        tracker.close();
        Ok(Self {
            executor,
            keeper,
            times,
            jobs,
            session,
            tracker,
            stop,
        })
    }

    /// How the session stands.
    pub fn session(&self) -> watch::Receiver<SessionStatus> {
        self.session.clone()
    }

    /// The executor.
    pub fn executor(&self) -> &Executor {
        &self.executor
    }

    /// Fires when the process should end: the host was left.
    pub fn finished(&self) -> &CancellationToken {
        self.jobs.finished()
    }

    /// Ends it within the grace; workloads go on. Returns whether everything ended.
    pub async fn stop(self, grace: Duration) -> bool {
        self.stop.cancel();
        let ended = async {
            let work_ended = self.executor.stop(grace).await;
            self.tracker.wait().await;
            work_ended
        };
        let ended = timeout(grace, ended).await.unwrap_or(false);
        if self.jobs.has_left() {
            return ended;
        }
        match self.keeper.close(self.times.now()).await {
            Ok(Ok(())) | Err(KeeperGone) => {}
            Ok(Err(error)) => tracing::warn!(error = %ErrorChain(&error), "the ledger is behind"),
        }
        ended
    }
}

/// Artifacts come from where the session goes.
async fn follow_addresses(
    mut addresses: watch::Receiver<Vec<String>>,
    source: Arc<Controller>,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            changed = addresses.changed() => if changed.is_err() { return },
            () = stop.cancelled() => return,
        }
        source.set_addresses(addresses.borrow_and_update().clone());
    }
}

/// A controller that let this host go answers no more.
async fn follow_refusal(
    mut session: watch::Receiver<SessionStatus>,
    jobs: Arc<Jobs>,
    stop: CancellationToken,
) {
    let removed = |status: &SessionStatus| {
        matches!(
            status.state,
            State::Refused {
                reason: Refusal::Removed,
                ..
            }
        )
    };
    tokio::select! {
        refused = session.wait_for(removed) => if refused.is_ok() { jobs.dismiss() },
        () = stop.cancelled() => {}
    }
}

/// Removes artifacts that nobody names, now and then.
async fn prune(keeper: Keeper, cache: Arc<Cache>, stop: CancellationToken) {
    let mut tick = interval(PRUNE_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = stop.cancelled() => return,
        }
        let cache = Arc::clone(&cache);
        match keeper
            .call(move |ledger| cache.prune(&artifacts::named(ledger)))
            .await
        {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "artifacts that nobody names are kept"),
            Err(KeeperGone) => return,
        }
    }
}
