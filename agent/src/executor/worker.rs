//! The worker of one assignment: brings its newest revision to its outcome, then watches its health.

use std::sync::Arc;
use std::time::Duration;

use foundry_proto::agent::v1::{HealthReport, Outcome, Phase, Progress, task::Kind};
use futures_util::future::join;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::attempt::{Attempt, Failure};
use super::retry;
use crate::error_chain::ErrorChain;
use crate::health;
use crate::ledger::{KeeperGone, Record};
use crate::session::Outgoing;
use crate::tasks::{ProgressSink, TaskProgress};

/// How often the agent may end in the middle of a revision before the revision is given up as unknown.
const MOST_INTERRUPTIONS: u32 = 10;

/// Lines of progress that may wait.
const PROGRESS_LINES: usize = 16;

/// The worker of this assignment, until the agent stops. It looks at the ledger anew whenever it is poked.
pub(super) async fn run(
    shared: Arc<Shared>,
    name: String,
    poked: watch::Receiver<()>,
    health: mpsc::Sender<HealthReport>,
) {
    let mut worker = Worker {
        shared,
        name,
        poked,
        health,
        watcher: None,
    };
    // Without the ledger there is nothing to be done: the agent is stopping.
    let _ = worker.run().await;
    worker.stop_watching().await;
}

struct Worker {
    shared: Arc<Shared>,
    name: String,
    poked: watch::Receiver<()>,
    health: mpsc::Sender<HealthReport>,
    watcher: Option<Watcher>,
}

/// The task that watches a revision's health.
struct Watcher {
    revision: u64,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

// === impl Worker ===

impl Worker {
    async fn run(&mut self) -> Result<(), KeeperGone> {
        while !self.shared.work.is_cancelled() {
            self.poked.borrow_and_update();
            match self.shared.books.record(&self.name).await? {
                Some(record) if record.is_open() => {
                    self.stop_watching().await;
                    self.work(&record).await?;
                    continue;
                }
                Some(record) if !record.is_gone() => self.watch(&record).await,
                Some(_) | None => self.stop_watching().await,
            }
            self.wait(None).await;
        }
        Ok(())
    }

    /// One attempt at the revision, and what follows from it.
    async fn work(&mut self, record: &Record) -> Result<(), KeeperGone> {
        let (name, revision) = (&record.name, record.revision);
        let interruptions = record.begun.saturating_sub(record.failures);
        let result = if interruptions > MOST_INTERRUPTIONS {
            let message = format!("the agent ended {interruptions} times while it was at it");
            Ok(Outcome {
                phase: Phase::Unknown.into(),
                message,
                ..Outcome::default()
            })
        } else {
            self.attempt(record).await
        };
        let books = self.shared.books.clone();
        match result {
            Ok(outcome) => {
                tracing::info!(assignment = name, revision, phase = ?outcome.phase(), "done");
                books.conclude(name, revision, outcome).await?;
                if installs_packages(record) {
                    self.shared.refresh_facts().await;
                }
            }
            Err(Failure::GivenUp) => {
                tracing::info!(assignment = name, revision, "given up");
            }
            Err(Failure::Failed { message, transient }) => {
                tracing::warn!(assignment = name, revision, message, "failed");
                let policy = record.retry.as_ref().filter(|_| transient);
                let failures = record.failures.saturating_add(1);
                if let Some(delay) = retry::delay(policy, failures, jitter()) {
                    if let Err(error) = books.failed_once(name, revision, message).await? {
                        tracing::warn!(error = %ErrorChain(&error), "a failure is not recorded");
                    }
                    self.wait(Some(delay)).await;
                } else {
                    let phase = Phase::Failed.into();
                    let outcome = Outcome {
                        phase,
                        message,
                        ..Outcome::default()
                    };
                    books.conclude(name, revision, outcome).await?;
                }
            }
        }
        Ok(())
    }

    /// The attempt itself. A poke means that the ledger has something newer: it is asked to end, and awaited.
    async fn attempt(&mut self, record: &Record) -> Result<Outcome, Failure> {
        let Some(assignment) = record.assignment() else {
            let message = "what was accepted cannot be read any more".to_owned();
            return Err(Failure::Failed {
                message,
                transient: false,
            });
        };
        let shared = Arc::clone(&self.shared);
        let cancel = shared.work.child_token();
        let (lines, said) = mpsc::channel(PROGRESS_LINES);
        let work = async {
            let permit = tokio::select! {
                permit = shared.room.acquire() => permit,
                () = cancel.cancelled() => return Err(Failure::GivenUp),
            };
            let _permit = permit.map_err(|_| Failure::GivenUp)?;
            let _piece = shared.activity.begin(shared.books.times.monotonic());
            let cx = shared.context(ProgressSink::new(lines), cancel.clone());
            Attempt {
                cx,
                books: &shared.books,
                record,
            }
            .run(&assignment)
            .await
        };
        let work = join(work, tell(&shared, record, said));
        tokio::pin!(work);
        loop {
            tokio::select! {
                (result, ()) = &mut work => return result,
                Ok(()) = self.poked.changed() => cancel.cancel(),
            }
        }
    }

    async fn watch(&mut self, record: &Record) {
        if self
            .watcher
            .as_ref()
            .is_some_and(|watcher| watcher.revision == record.revision)
        {
            return;
        }
        self.stop_watching().await;
        let Some(assignment) = record.assignment() else {
            return;
        };
        if assignment.removed {
            return;
        }
        let stop = self.shared.work.child_token();
        let watching = health::watch(
            self.shared.context(ProgressSink::none(), stop.clone()),
            record.name.clone(),
            record.revision,
            assignment.tasks,
            self.health.clone(),
            stop.clone(),
        );
        let task = tokio::spawn(watching);
        self.watcher = Some(Watcher {
            revision: record.revision,
            stop,
            task,
        });
    }

    async fn stop_watching(&mut self) {
        let Some(watcher) = self.watcher.take() else {
            return;
        };
        watcher.stop.cancel();
        if watcher.task.await.is_err() {
            tracing::error!(
                assignment = self.name,
                "watching its health ended in a panic"
            );
        }
    }

    /// Until poked, stopped, or this long.
    async fn wait(&mut self, limit: Option<Duration>) {
        let limit = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = limit => {}
            _ = self.poked.changed() => {}
            () = self.shared.work.cancelled() => {}
        }
    }
}

/// Passes on what the tasks say, until they are done.
async fn tell(shared: &Shared, record: &Record, mut said: mpsc::Receiver<TaskProgress>) {
    while let Some(TaskProgress {
        task,
        text,
        dropped,
    }) = said.recv().await
    {
        let progress = Progress {
            assignment: record.name.clone(),
            revision: record.revision,
            task,
            text,
            dropped,
        };
        // Lossy: the next line is as good.
        let _ = shared.outgoing.try_send(Outgoing::Progress(progress));
    }
}

/// Whether the host may have a container runtime that it had not.
fn installs_packages(record: &Record) -> bool {
    let tasks = record
        .assignment()
        .map(|assignment| assignment.tasks)
        .unwrap_or_default();
    tasks
        .iter()
        .any(|task| matches!(task.kind, Some(Kind::Package(_))))
}

/// From 0 to 1.
fn jitter() -> f64 {
    f64::from(uuid::Uuid::new_v4().as_bytes()[0]) / 255.0
}
