//! One-off work that the controller asks for. So far that is leaving the host; every other kind is answered at once as
//! not supported.

pub(crate) mod by_hand;
mod retired;
mod teardown;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foundry_host::Host;
use foundry_proto::agent::v1::{JobOutcome, StartJob, job_outcome::Result as JobResult, start_job};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Places;
use crate::error_chain::ErrorChain;
use crate::executor::Executor;
use crate::ledger::KeeperGone;

pub use by_hand::{LeaveError, leave};
pub use retired::Retired;
pub use teardown::{TeardownError, teardown};

/// Ids of jobs that are remembered, so that none is done twice.
const MOST_KNOWN: usize = 256;

/// How long the controller may take to acknowledge the outcome of a job after which the agent is no more.
const FAREWELL: Duration = Duration::from_secs(20);

/// How long leaving may take where the controller sets no deadline.
const UNINSTALL_LIMIT: Duration = Duration::from_secs(600);

/// The jobs of this agent.
pub struct Jobs {
    host: Arc<Host>,
    places: Places,
    /// The agent's own unit; none where it is not run by systemd.
    unit: Option<String>,
    known: Mutex<VecDeque<(String, CancellationToken)>>,
    tracker: TaskTracker,
    finished: CancellationToken,
    dismissed: CancellationToken,
    left: AtomicBool,
}

// === impl Jobs ===

impl Jobs {
    /// Jobs on this host. `unit` is the agent's own, where systemd runs it.
    pub fn new(host: Arc<Host>, places: Places, unit: Option<String>) -> Self {
        Self {
            host,
            places,
            unit,
            known: Mutex::default(),
            tracker: TaskTracker::new(),
            finished: CancellationToken::new(),
            dismissed: CancellationToken::new(),
            left: AtomicBool::new(false),
        }
    }

    /// Fires when the process should end: the host was left, or must be begun anew after leaving failed.
    pub fn finished(&self) -> &CancellationToken {
        &self.finished
    }

    /// Whether the agent has taken itself off the host: there is nothing left to write to.
    pub fn has_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    /// The controller let this host go: it will acknowledge nothing any more.
    pub(crate) fn dismiss(&self) {
        self.dismissed.cancel();
    }

    /// Starts a job, unless it is known.
    pub(crate) fn start(self: Arc<Self>, executor: Executor, job: StartJob) {
        let Some(cancel) = self.admit(&job.id) else {
            return;
        };
        let jobs = Arc::clone(&self);
        self.tracker.spawn(async move {
            // Without the ledger nothing can be reported: the agent is stopping.
            let _ = jobs.run(&executor, job, &cancel).await;
        });
    }

    /// Asks a job to end.
    pub(crate) fn cancel(&self, id: &str) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .iter()
            .filter(|(job, _)| job == id)
            .for_each(|(_, cancel)| cancel.cancel());
    }

    fn admit(&self, id: &str) -> Option<CancellationToken> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.iter().any(|(job, _)| job == id) {
            return None;
        }
        if known.len() >= MOST_KNOWN {
            known.pop_front();
        }
        let cancel = CancellationToken::new();
        known.push_back((id.to_owned(), cancel.clone()));
        Some(cancel)
    }

    async fn run(
        &self,
        executor: &Executor,
        job: StartJob,
        cancel: &CancellationToken,
    ) -> Result<(), KeeperGone> {
        let limit = match job.deadline_ms {
            0 => UNINSTALL_LIMIT,
            deadline => Duration::from_millis(deadline),
        };
        let id = job.id;
        match job.kind {
            Some(start_job::Kind::Uninstall(uninstall)) => {
                self.uninstall(executor, id, uninstall.purge, limit, cancel)
                    .await
            }
            Some(
                start_job::Kind::Exec(_)
                | start_job::Kind::Reboot(_)
                | start_job::Kind::Logs(_)
                | start_job::Kind::Service(_),
            )
            | None => {
                let message = "not supported by this agent".to_owned();
                let outcome = outcome(id, JobResult::Failed, message, Vec::new());
                report(executor, outcome).await.map(|_| ())
            }
        }
    }

    async fn uninstall(
        &self,
        executor: &Executor,
        id: String,
        purge: bool,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> Result<(), KeeperGone> {
        tracing::info!(job = id, purge, "leaving this host");
        let (result, message, kept) = match timeout(limit, executor.retire(purge, cancel)).await {
            Ok(retired) => {
                let retired = retired?;
                let result = match (retired.failures.is_empty(), cancel.is_cancelled()) {
                    (true, _) => JobResult::Done,
                    (false, true) => JobResult::Cancelled,
                    (false, false) => JobResult::Failed,
                };
                (result, retired.failures.join("\n"), retired.kept)
            }
            Err(_) => {
                let message = format!("it was not done within {} s", limit.as_secs());
                (JobResult::Deadline, message, Vec::new())
            }
        };
        let number = report(executor, outcome(id, result, message, kept)).await?;
        if let Some(number) = number {
            tokio::select! {
                () = executor.until_acknowledged(number) => {}
                () = self.dismissed.cancelled() => {}
                () = sleep(FAREWELL) => tracing::warn!("the controller did not acknowledge the end"),
            }
        }
        if result == JobResult::Done {
            self.left.store(true, Ordering::Relaxed);
            let unit = self.unit.as_deref();
            if let Err(error) = teardown(&self.places, &*self.host.systemd, unit).await {
                tracing::error!(error = %ErrorChain(&error), "the agent is still on this host");
            }
        }
        // Where leaving failed, a new start takes up what is left.
        self.finished.cancel();
        Ok(())
    }
}

fn outcome(id: String, result: JobResult, message: String, kept: Vec<String>) -> JobOutcome {
    JobOutcome {
        id,
        result: result.into(),
        message,
        kept,
        ..JobOutcome::default()
    }
}

async fn report(executor: &Executor, outcome: JobOutcome) -> Result<Option<u64>, KeeperGone> {
    let reported = executor.report_job(outcome).await?;
    Ok(reported
        .inspect_err(|error| {
            tracing::error!(error = %ErrorChain(error), "a job's outcome is not recorded");
        })
        .ok())
}
