//! Brings assignments to their newest revision, and answers what the controller asks.
//!
//! Tasks that it owns, all ended by [`Executor::stop`]:
//! * one *worker* per assignment: attempts the newest revision until it has its outcome, then owns the watcher of its
//!   health. Workers run side by side, a few at a time; within one, tasks go one after the other.
//! * *events*: hands what the ledger numbered to the session, in order.
//! * *health*: puts each report on the board and hands it to the session.
//!
//! What arrives is in the ledger before anything is done about it ([`books`]); what is said of it without asking is on the
//! [`board`]. An assignment is poked awake when the ledger has something newer of it; losing the connection touches
//! nothing here.

mod accept;
mod attempt;
mod board;
mod books;
mod observe;
mod orders;
mod outflow;
pub(crate) mod progress;
mod retire;
mod retry;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foundry_host::Host;
use foundry_proto::agent::v1::{Facts, HealthReport, Hello};
use foundry_proto::{Digest, FleetId};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use board::Board;
use books::Books;
use progress::Activity;

use crate::facts;
use crate::jobs::Jobs;
use crate::ledger::{Keeper, KeeperGone, Record, Times};
use crate::renewal::Renewal;
use crate::session::Outgoing;
use crate::tasks::{Artifacts, Context, ProgressSink};

/// Assignments that are worked on side by side.
const SIDE_BY_SIDE: usize = 4;

/// Health reports that may wait.
const HEALTH_REPORTS: usize = 64;

/// Everything that the executor works with.
pub struct Parts {
    /// The fleet.
    pub fleet: FleetId,
    /// The host.
    pub host: Arc<Host>,
    /// Files by digest.
    pub artifacts: Arc<dyn Artifacts>,
    /// The ledger, and what Hello says of it.
    pub keeper: Keeper,
    /// The host's clocks.
    pub times: Times,
    /// Who this agent is.
    pub build: Build,
    /// What the host is.
    pub facts: Facts,
    /// One-off work.
    pub jobs: Arc<Jobs>,
    /// Certificates and settings as the controller changes them; none where nothing is kept of them.
    pub renewal: Option<Arc<Renewal>>,
    /// To the session.
    pub outgoing: mpsc::Sender<Outgoing>,
}

/// Which build of the agent this is, and which start of it.
#[derive(Debug, Clone)]
pub struct Build {
    /// Its version.
    pub version: String,
    /// SHA-256 of its binary.
    pub digest: Digest,
    /// When its process started, on CLOCK_BOOTTIME in nanoseconds.
    pub start_id: u64,
}

/// The executor. Clones are the same one.
#[derive(Clone)]
pub struct Executor {
    shared: Arc<Shared>,
    workers: Arc<Mutex<Workers>>,
    /// The workers.
    work: TaskTracker,
    /// What hands things to the session.
    flow: TaskTracker,
}

/// What workers, orders and jobs share.
struct Shared {
    fleet: FleetId,
    host: Arc<Host>,
    artifacts: Arc<dyn Artifacts>,
    books: Books,
    build: Build,
    jobs: Arc<Jobs>,
    renewal: Option<Arc<Renewal>>,
    outgoing: mpsc::Sender<Outgoing>,
    room: Semaphore,
    activity: Activity,
    health: Activity,
    /// Ends the workers.
    work: CancellationToken,
    /// Ends everything.
    stop: CancellationToken,
}

#[derive(Default)]
struct Workers {
    by_name: BTreeMap<String, watch::Sender<()>>,
    health: Option<mpsc::Sender<HealthReport>>,
    /// No new assignment is taken: the host is being left.
    closed: bool,
}

// === impl Executor ===

impl Executor {
    /// Starts it: what was accepted and has no outcome is taken up again, what was achieved is watched.
    pub async fn start(parts: Parts) -> Result<Self, KeeperGone> {
        let Parts {
            fleet,
            host,
            artifacts,
            keeper,
            times,
            build,
            ..
        } = parts;
        let facts = parts.facts;
        let board = keeper.call(|ledger| Board::show(ledger, facts)).await?;
        let (health, reports) = mpsc::channel(HEALTH_REPORTS);
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            fleet,
            host,
            artifacts,
            books: Books {
                keeper,
                board,
                times,
            },
            build,
            jobs: parts.jobs,
            renewal: parts.renewal,
            outgoing: parts.outgoing,
            room: Semaphore::new(SIDE_BY_SIDE),
            activity: Activity::new("executor"),
            health: Activity::new("health"),
            work: stop.child_token(),
            stop,
        });
        let workers = Workers {
            health: Some(health),
            ..Workers::default()
        };
        let (work, flow) = (TaskTracker::new(), TaskTracker::new());
        flow.spawn(outflow::events(Arc::clone(&shared)));
        flow.spawn(outflow::health(Arc::clone(&shared), reports));
        let workers = Arc::new(Mutex::new(workers));
        let executor = Self {
            shared,
            workers,
            work,
            flow,
        };
        for record in executor.shared.books.records().await? {
            if !record.is_gone() {
                executor.poke(&record.name);
            }
        }
        Ok(executor)
    }

    /// Ends everything that it started. Work is asked to end at its next good point and stays open in the ledger; no workload
    /// is stopped. What has not ended within the grace is left behind. Returns whether all ended.
    pub async fn stop(&self, grace: Duration) -> bool {
        self.shared.stop.cancel();
        self.close();
        self.flow.close();
        let ended = async {
            self.work.wait().await;
            self.flow.wait().await;
        };
        tokio::time::timeout(grace, ended).await.is_ok()
    }

    /// Whether it still gets something done: a round trip through the ledger, which also catches up on what a full disk did not
    /// take.
    pub async fn is_alive(&self) -> bool {
        let caught_up = self.shared.books.with(|ledger, books| {
            if let Err(error) = ledger.catch_up(&books.times.now()) {
                tracing::warn!(%error, "the disk still takes nothing");
            }
        });
        caught_up.await.is_ok()
    }

    /// All that the ledger holds of assignments.
    pub async fn records(&self) -> Result<Vec<Record>, KeeperGone> {
        self.shared.books.records().await
    }

    /// Who this is and what it has.
    fn hello(&self) -> Hello {
        let now = self.shared.books.times.now();
        let board = &self.shared.books.board;
        let (ledger_id, store_id) = board.ids();
        Hello {
            protocol_min: *foundry_proto::PROTOCOL.start(),
            protocol_max: *foundry_proto::PROTOCOL.end(),
            feature_level: foundry_proto::FEATURE_LEVEL,
            version: self.shared.build.version.clone(),
            agent_digest: self.shared.build.digest.to_bytes(),
            boot_id: now.boot_id.clone(),
            start_id: self.shared.build.start_id,
            ledger_id,
            store_id,
            facts: Some(board.facts()),
            holdings: board.holdings(&now),
            capabilities: Vec::new(),
        }
    }

    /// The ledger has something newer of this assignment.
    fn poke(&self, name: &str) {
        let mut workers = self.workers();
        if workers.closed {
            return;
        }
        if let Some(worker) = workers.by_name.get(name) {
            worker.send_replace(());
            return;
        }
        let Some(health) = workers.health.clone() else {
            return;
        };
        let (poke, poked) = watch::channel(());
        workers.by_name.insert(name.to_owned(), poke);
        let shared = Arc::clone(&self.shared);
        self.work
            .spawn(worker::run(shared, name.to_owned(), poked, health));
    }

    /// Takes no new assignment, and ends the workers.
    fn close(&self) {
        self.shared.work.cancel();
        let mut workers = self.workers();
        workers.by_name.clear();
        workers.health = None;
        workers.closed = true;
        self.work.close();
    }

    fn workers(&self) -> MutexGuard<'_, Workers> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Shared ===

impl Shared {
    fn context(&self, progress: ProgressSink, cancel: CancellationToken) -> Context {
        Context {
            host: Arc::clone(&self.host),
            fleet: self.fleet.clone(),
            artifacts: Arc::clone(&self.artifacts),
            progress,
            cancel,
        }
    }
    /// Reads the facts anew.
    async fn refresh_facts(&self) -> Facts {
        let facts = facts::gather(&self.host).await;
        self.books.board.set_facts(facts.clone());
        facts
    }
}
