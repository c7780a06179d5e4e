//! One attempt at a revision: its tasks in order, or, for a removal, what is there undone in the opposite one.

use foundry_proto::agent::v1::{Assignment, Outcome, Phase, Task, TaskResult};

use super::books::Books;
use crate::error_chain::ErrorChain;
use crate::ledger::{KeeperGone, Record, millis};
use crate::tasks::{self, Context, TaskError};

/// How an attempt ended that did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// It was given up on request: for a newer revision, a cancellation, or because the agent stops.
    GivenUp,
    /// It failed.
    Failed {
        /// The task and its causes.
        message: String,
        /// Whether it may go better next time.
        transient: bool,
    },
}

/// One revision at work.
pub(super) struct Attempt<'a> {
    pub(super) cx: Context,
    pub(super) books: &'a Books,
    pub(super) record: &'a Record,
}

// === impl Attempt ===

impl Attempt<'_> {
    /// Carries the assignment out.
    pub(super) async fn run(&self, assignment: &Assignment) -> Result<Outcome, Failure> {
        if assignment.removed {
            self.remove(assignment.purge).await
        } else {
            self.apply(&assignment.tasks).await
        }
    }

    async fn apply(&self, tasks: &[Task]) -> Result<Outcome, Failure> {
        self.begin(Phase::Applying, tasks.to_vec()).await?;
        let mut changed = self.record.changed.clone();
        for task in tasks {
            self.check()?;
            let begun = self.books.times.monotonic();
            let previous = self.record.previous(&task.id);
            let applied = tasks::apply(&self.cx, task, previous, &changed).await;
            let result = match &applied {
                Ok(applied) => TaskResult {
                    changed: applied.changed,
                    diff: applied.diff.clone(),
                    ..TaskResult::default()
                },
                Err(error) => failed(error),
            };
            if result.changed && !changed.contains(&task.id) {
                changed.push(task.id.clone());
            }
            self.report(task, result, begun).await?;
            applied.map_err(|error| failure(task, &error))?;
        }
        for task in self.record.left_over(tasks) {
            self.undo(&task, false).await?;
        }
        Ok(Outcome {
            phase: Phase::Achieved.into(),
            ..Outcome::default()
        })
    }

    async fn remove(&self, purge: bool) -> Result<Outcome, Failure> {
        self.begin(Phase::Removing, Vec::new()).await?;
        let mut kept = Vec::new();
        for task in self.record.to_undo() {
            kept.extend(self.undo(&task, purge).await?);
        }
        kept.sort();
        kept.dedup();
        Ok(Outcome {
            phase: Phase::Removed.into(),
            kept,
            ..Outcome::default()
        })
    }

    async fn undo(&self, task: &Task, purge: bool) -> Result<Vec<String>, Failure> {
        self.check()?;
        let begun = self.books.times.monotonic();
        let removed = tasks::remove(&self.cx, task, purge).await;
        let result = match &removed {
            Ok(removed) => {
                let mut diff = "removed".to_owned();
                if !removed.kept.is_empty() {
                    diff = format!("removed, kept {}", removed.kept.join(", "));
                }
                TaskResult {
                    changed: true,
                    diff,
                    ..TaskResult::default()
                }
            }
            Err(error) => failed(error),
        };
        self.report(task, result, begun).await?;
        removed
            .map(|removed| removed.kept)
            .map_err(|error| failure(task, &error))
    }

    /// What is about to be tried stands in the ledger before anything is done.
    async fn begin(&self, phase: Phase, tasks: Vec<Task>) -> Result<(), Failure> {
        let (name, revision) = (&self.record.name, self.record.revision);
        match self.books.begin(name, revision, phase, tasks).await? {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::GivenUp),
            Err(error) => {
                let message = ErrorChain(&error).to_string();
                Err(Failure::Failed {
                    message,
                    transient: true,
                })
            }
        }
    }

    async fn report(
        &self,
        task: &Task,
        result: TaskResult,
        begun: std::time::Duration,
    ) -> Result<(), Failure> {
        let duration = self.books.times.monotonic().saturating_sub(begun);
        let result = TaskResult {
            task: task.id.clone(),
            duration_ms: millis(duration),
            ..result
        };
        Ok(self
            .books
            .task(&self.record.name, self.record.revision, result)
            .await?)
    }

    fn check(&self) -> Result<(), Failure> {
        if self.cx.cancel.is_cancelled() {
            Err(Failure::GivenUp)
        } else {
            Ok(())
        }
    }
}

fn failed(error: &TaskError) -> TaskResult {
    TaskResult {
        error: ErrorChain(error).to_string(),
        ..TaskResult::default()
    }
}

fn failure(task: &Task, error: &TaskError) -> Failure {
    if matches!(error, TaskError::Cancelled) {
        return Failure::GivenUp;
    }
    Failure::Failed {
        message: format!("{}: {}", task.id, ErrorChain(error)),
        transient: error.is_transient(),
    }
}

// === impl Failure ===

impl From<KeeperGone> for Failure {
    /// The ledger closes when the agent stops.
    fn from(_: KeeperGone) -> Self {
        Self::GivenUp
    }
}
