//! The steps of an assignment's life, each one write of the ledger, shown on the board by the same stroke.

use std::sync::Arc;

use foundry_proto::agent::v1::{
    Assign, JobOutcome, Outcome, Phase, Rejected, Task, TaskResult, event::Body,
};

use super::accept::{self, Acceptance};
use super::board::Board;
use crate::error_chain::ErrorChain;
use crate::ledger::{Keeper, KeeperGone, Ledger, LedgerError, MOST_ASSIGNMENTS, Record, Times};

/// Removed assignments whose revision is remembered.
const MOST_REMOVED: usize = 128;

/// The ledger, as the executor uses it.
#[derive(Clone)]
pub(super) struct Books {
    pub(super) keeper: Keeper,
    pub(super) board: Arc<Board>,
    pub(super) times: Times,
}

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// There is a new revision to be worked on.
    New,
    /// Nothing changed.
    Nothing,
}

// === impl Books ===

impl Books {
    /// Accepts the assignment durably, or reports why not.
    pub(super) async fn accept(&self, assign: Assign) -> Result<Taken, KeeperGone> {
        let (name, revision) = (assign.name.clone(), assign.revision);
        let accepted = self
            .with(move |ledger, books| {
                let now = books.times.now();
                accept::check(&assign).map_err(|refusal| refusal.to_string())?;
                let held = ledger.record(&assign.name);
                if !ledger.unacknowledged().has_room() {
                    return Err("too many events wait for their acknowledgement".to_owned());
                }
                if held.is_none() && ledger.records().count() >= MOST_ASSIGNMENTS {
                    return Err(format!(
                        "this host holds {MOST_ASSIGNMENTS} assignments already"
                    ));
                }
                let accepted = accept::accept(held, assign, &now);
                match accepted.map_err(|refusal| refusal.to_string())? {
                    Acceptance::Known => Ok(Taken::Nothing),
                    Acceptance::New(record, events) => {
                        ledger.commit(*record, events, &now).map_err(|error| {
                            format!("it cannot be recorded: {}", ErrorChain(&error))
                        })?;
                        Ok(Taken::New)
                    }
                }
            })
            .await?;
        match accepted {
            Ok(taken) => Ok(taken),
            Err(reason) => self
                .reject(&name, revision, reason)
                .await
                .map(|()| Taken::Nothing),
        }
    }

    /// Reports that an assignment was not accepted.
    pub(super) async fn reject(
        &self,
        name: &str,
        revision: u64,
        reason: String,
    ) -> Result<(), KeeperGone> {
        tracing::warn!(assignment = name, revision, reason, "rejected");
        // A name that is none may also be long.
        let name: String = name.chars().take(100).collect();
        self.with(move |ledger, books| {
            let now = books.times.now();
            let body = Body::Rejected(Rejected { reason });
            let durably = ledger.has_room_for_reports()
                && ledger.report(&name, revision, body.clone(), &now).is_ok();
            if !durably && ledger.mention(&name, revision, body, &now).is_err() {
                tracing::error!(
                    assignment = name,
                    revision,
                    "cannot even report the rejection"
                );
            }
        })
        .await
    }

    /// An attempt begins. `false`: the revision is no longer the one to be worked on.
    pub(super) async fn begin(
        &self,
        name: &str,
        revision: u64,
        phase: Phase,
        tasks: Vec<Task>,
    ) -> Result<Result<bool, LedgerError>, KeeperGone> {
        self.change(name, revision, move |record| record.begin(phase, &tasks))
            .await
    }

    /// An attempt failed, and another one follows.
    pub(super) async fn failed_once(
        &self,
        name: &str,
        revision: u64,
        message: String,
    ) -> Result<Result<bool, LedgerError>, KeeperGone> {
        self.change(name, revision, move |record| {
            record.failures = record.failures.saturating_add(1);
            record.message = message;
        })
        .await
    }

    /// The revision has its outcome, unless it had one already.
    pub(super) async fn conclude(
        &self,
        name: &str,
        revision: u64,
        mut outcome: Outcome,
    ) -> Result<bool, KeeperGone> {
        let name = name.to_owned();
        self.with(move |ledger, books| {
            let now = books.times.now();
            let Some(mut record) = ledger.record(&name).cloned() else {
                return false;
            };
            outcome.duration_ms = accept::age(&record, &now);
            let Some(body) = record.conclude(revision, outcome, &now) else {
                return false;
            };
            ledger.commit_anyway(record, vec![(revision, body)], &now);
            if let Err(error) = ledger.prune_removed(MOST_REMOVED) {
                tracing::warn!(error = %ErrorChain(&error), "cannot forget removed assignments");
            }
            books.board.retain(|name| ledger.record(name).is_some());
            true
        })
        .await
    }

    /// How a task went.
    pub(super) async fn task(
        &self,
        name: &str,
        revision: u64,
        result: TaskResult,
    ) -> Result<(), KeeperGone> {
        let name = name.to_owned();
        self.with(move |ledger, books| {
            let now = books.times.now();
            let held = ledger
                .record(&name)
                .filter(|record| record.revision == revision);
            if let Some(mut record) = held.filter(|_| result.changed).cloned()
                && !record.changed.contains(&result.task)
            {
                record.changed.push(result.task.clone());
                if let Err(error) = ledger.note(record, &now) {
                    tracing::warn!(error = %ErrorChain(&error), "a change is not recorded");
                }
            }
            if let Err(error) = ledger.mention(&name, revision, Body::Task(result), &now) {
                tracing::warn!(error = %ErrorChain(&error), "a task's result is not reported");
            }
        })
        .await
    }

    /// How a job ended. The number of the event that says so.
    pub(super) async fn job(
        &self,
        outcome: JobOutcome,
    ) -> Result<Result<u64, LedgerError>, KeeperGone> {
        self.with(|ledger, books| ledger.report("", 0, Body::Job(outcome), &books.times.now()))
            .await
    }

    /// The record of an assignment as it stands.
    pub(super) async fn record(&self, name: &str) -> Result<Option<Record>, KeeperGone> {
        let name = name.to_owned();
        self.with(move |ledger, _| ledger.record(&name).cloned())
            .await
    }

    /// All records.
    pub(super) async fn records(&self) -> Result<Vec<Record>, KeeperGone> {
        self.with(|ledger, _| ledger.records().cloned().collect())
            .await
    }

    async fn change(
        &self,
        name: &str,
        revision: u64,
        change: impl FnOnce(&mut Record) + Send + 'static,
    ) -> Result<Result<bool, LedgerError>, KeeperGone> {
        let name = name.to_owned();
        self.with(move |ledger, books| {
            let current = |record: &&Record| record.revision == revision && record.is_open();
            let Some(record) = ledger.record(&name).filter(current) else {
                return Ok(false);
            };
            let mut record = record.clone();
            change(&mut record);
            ledger.note(record, &books.times.now()).map(|()| true)
        })
        .await
    }

    pub(super) async fn with<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Ledger, &Self) -> R + Send + 'static,
    ) -> Result<R, KeeperGone> {
        let books = self.clone();
        self.keeper.call(move |ledger| work(ledger, &books)).await
    }
}
