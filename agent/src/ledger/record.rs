//! What the ledger holds of one assignment, and how that changes. Pure.

use bytes::Bytes;
use foundry_proto::agent::v1::{
    Assignment, Event, Holding, Outcome, Phase, RetryPolicy, Task, event::Body,
};
use prost::Message as _;

use super::Stamp;

/// The record of one assignment. Its fields are also its format on disk: they are only added.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Record {
    /// The assignment's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The newest revision that was accepted.
    #[prost(uint64, tag = "2")]
    pub revision: u64,
    /// SHA-256 of `content`.
    #[prost(bytes = "bytes", tag = "3")]
    pub digest: Bytes,
    /// The encoded assignment, as it came. Empty once it was removed.
    #[prost(bytes = "bytes", tag = "4")]
    pub content: Bytes,
    /// How often it may be tried.
    #[prost(message, optional, tag = "5")]
    pub retry: Option<RetryPolicy>,
    /// How far `revision` has come.
    #[prost(enumeration = "Phase", tag = "6")]
    pub phase: i32,
    /// Why, where the phase is a failure.
    #[prost(string, tag = "7")]
    pub message: String,
    /// When `revision` was accepted.
    #[prost(message, optional, tag = "8")]
    pub accepted: Option<Stamp>,
    /// The newest revision that was achieved.
    #[prost(uint64, optional, tag = "9")]
    pub achieved_revision: Option<u64>,
    /// When it was.
    #[prost(message, optional, tag = "10")]
    pub achieved: Option<Stamp>,
    /// The tasks that were achieved last.
    #[prost(message, repeated, tag = "11")]
    pub achieved_tasks: Vec<Task>,
    /// Tasks that were begun since, and may have left something on the host.
    #[prost(message, repeated, tag = "12")]
    pub attempted_tasks: Vec<Task>,
    /// How often `revision` was begun; more often than it failed where the agent ended on the way.
    #[prost(uint32, tag = "13")]
    pub begun: u32,
    /// How often it failed.
    #[prost(uint32, tag = "15")]
    pub failures: u32,
    /// Ids of the tasks that changed something since the last success: what depends on them may still have to be restarted.
    #[prost(string, repeated, tag = "16")]
    pub changed: Vec<String>,
    /// What the controller has not yet acknowledged.
    #[prost(message, repeated, tag = "14")]
    pub pending: Vec<Pending>,
}

/// An event that waits for its acknowledgement.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Pending {
    /// The event, with its number and without its age.
    #[prost(message, required, tag = "1")]
    pub event: Event,
    /// When it happened.
    #[prost(message, required, tag = "2")]
    pub at: Stamp,
}

/// The most tasks that are remembered as begun, over all revisions since the last success.
const MOST_ATTEMPTED: usize = 256;

// === impl Record ===

impl Record {
    /// Whether the revision still has to be brought to its outcome.
    pub fn is_open(&self) -> bool {
        matches!(
            self.phase(),
            Phase::Accepted | Phase::Applying | Phase::Removing
        )
    }

    /// Whether the assignment was taken away and nothing of it is left but the number of its revision.
    pub fn is_gone(&self) -> bool {
        self.phase() == Phase::Removed
    }

    /// The assignment that `content` holds; `None` where it does not decode, or was removed.
    pub fn assignment(&self) -> Option<Assignment> {
        if self.content.is_empty() {
            return None;
        }
        Assignment::decode(self.content.clone()).ok()
    }

    /// All that may be of this assignment on the host, in the order in which it is to be undone.
    pub fn to_undo(&self) -> Vec<Task> {
        let mut tasks: Vec<Task> = Vec::new();
        for task in self
            .attempted_tasks
            .iter()
            .rev()
            .chain(self.achieved_tasks.iter().rev())
        {
            if !tasks.contains(task) {
                tasks.push(task.clone());
            }
        }
        tasks
    }

    /// What is on the host of an earlier revision and has no task of the same id in this one.
    pub fn left_over(&self, tasks: &[Task]) -> Vec<Task> {
        let mut left = self.to_undo();
        left.retain(|old| !tasks.iter().any(|task| task.id == old.id));
        left
    }

    /// The task of this id as it was applied last.
    pub fn previous(&self, id: &str) -> Option<&Task> {
        self.attempted_tasks
            .iter()
            .rev()
            .chain(&self.achieved_tasks)
            .find(|task| task.id == id)
    }

    /// An attempt begins: from now on these tasks may have left something behind.
    pub fn begin(&mut self, phase: Phase, tasks: &[Task]) {
        self.phase = phase.into();
        self.begun = self.begun.saturating_add(1);
        for task in tasks {
            if !self.achieved_tasks.contains(task) && !self.attempted_tasks.contains(task) {
                self.attempted_tasks.push(task.clone());
            }
        }
        let excess = self.attempted_tasks.len().saturating_sub(MOST_ATTEMPTED);
        self.attempted_tasks.drain(..excess);
    }

    /// The revision comes to its outcome. `None`: it already had one, or it is another revision's.
    pub fn conclude(&mut self, revision: u64, outcome: Outcome, now: &Stamp) -> Option<Body> {
        if self.revision != revision || !self.is_open() {
            return None;
        }
        self.phase = outcome.phase;
        self.message.clone_from(&outcome.message);
        match outcome.phase() {
            Phase::Achieved => {
                self.achieved_revision = Some(revision);
                self.achieved = Some(now.clone());
                self.achieved_tasks = self.assignment().map(|a| a.tasks).unwrap_or_default();
                self.attempted_tasks.clear();
                self.changed.clear();
            }
            Phase::Removed => self.forget(),
            Phase::Unspecified
            | Phase::Accepted
            | Phase::Applying
            | Phase::Failed
            | Phase::Superseded
            | Phase::Cancelled
            | Phase::Unknown
            | Phase::Removing => {}
        }
        Some(Body::Outcome(outcome))
    }

    /// Nothing of it is on the host any more.
    pub fn forget(&mut self) {
        self.set_phase(Phase::Removed);
        self.achieved_tasks.clear();
        self.attempted_tasks.clear();
        self.changed.clear();
        self.achieved_revision = None;
        self.achieved = None;
        self.content.clear();
    }

    /// The line of Hello about it; health is added by whoever knows it.
    pub fn holding(&self, now: &Stamp) -> Holding {
        let age = |stamp: &Option<Stamp>| stamp.as_ref().map(|stamp| stamp.age_ms(now));
        Holding {
            assignment: self.name.clone(),
            revision: self.revision,
            digest: self.digest.clone(),
            phase: self.phase,
            accepted_age_ms: age(&self.accepted),
            achieved_revision: self.achieved_revision,
            achieved_age_ms: age(&self.achieved),
            health: None,
            message: self.message.clone(),
        }
    }
}

// === impl Pending ===

impl Pending {
    /// The event as it is sent now.
    pub fn to_event(&self, now: &Stamp) -> Event {
        Event {
            age_ms: self.at.age_ms(now),
            ..self.event.clone()
        }
    }
}
