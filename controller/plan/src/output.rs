//! What a plan says: to people, and to the engine.

use bytes::Bytes;
use foundry_proto::{AssignmentName, Digest, Hostname};

/// The difference between what is wanted and what is, and how to make it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// For people; host by host, in the order of the file.
    pub changes: Vec<Change>,
    /// For the engine; wave by wave.
    pub steps: Vec<Step>,
    /// Counts of the changes.
    pub summary: Summary,
    /// Hosts to be enrolled first.
    pub enrol: Vec<Hostname>,
    /// What stands in the way: with any of these the plan cannot be run.
    pub problems: Vec<Problem>,
    /// What should be known, though nothing stops for it.
    pub warnings: Vec<String>,
    /// What hosts have and the file no longer names.
    pub orphans: Vec<Orphan>,
    /// Hosts that were planned from their last known state.
    pub unreachable: Vec<UnreachableHost>,
}

/// One thing on one host that would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub host: Hostname,
    /// In which assignment.
    pub assignment: AssignmentName,
    /// Its id within the assignment; empty: the assignment as a whole.
    pub task: String,
    /// What would happen to it.
    pub action: Action,
    /// It was changed by hand after foundry had reached the same content.
    pub drift: bool,
    /// What is different, for people.
    pub diff: String,
    /// Not observed: expected after the step of this id.
    pub known_after: Option<String>,
}

/// What would happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is not there.
    Create,
    /// It is there, but different.
    Update,
    /// It is there and should not be.
    Remove,
}

/// A node of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// `<host>/enrol` or `<host>/<assignment>`.
    pub id: String,
    /// Where.
    pub host: Hostname,
    /// What is done.
    pub kind: StepKind,
    /// Ids of the steps that must have gone well before.
    pub after: Vec<String>,
    /// From 0; steps of one wave do not depend on one another.
    pub wave: u32,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepKind {
    /// Wait until the host's agent is there.
    Enrol,
    /// Bring an assignment to this content.
    Apply(Order),
    /// Take an assignment away.
    Remove(Order),
}

/// What a host is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Under which name.
    pub assignment: AssignmentName,
    /// The bytes.
    pub content: Bytes,
    /// Of the bytes.
    pub digest: Digest,
    /// Under which number.
    pub revision: Revision,
}

/// The number of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revision {
    /// A new one, higher than this one that the host has reported (0: none), and than any that the store gave out.
    Above(u64),
    /// The host is at it already, or it is stored for the host: it has only to be awaited, or delivered again.
    Pending(u64),
}

/// Counts of tasks, but of assignments in `orphaned` and of hosts in `unreachable`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// To be made.
    pub create: u32,
    /// To be changed.
    pub update: u32,
    /// To be taken away.
    pub remove: u32,
    /// As wanted.
    pub unchanged: u32,
    /// On hosts, but not in the file.
    pub orphaned: u32,
    /// Without an answer.
    pub unreachable: u32,
}

/// What stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problem {
    /// Where; empty: nowhere in particular.
    pub host: String,
    /// In which assignment; empty: in none.
    pub assignment: String,
    /// What it is, and whose.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// What a host has and the file no longer names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Where.
    pub host: Hostname,
    /// What.
    pub assignment: AssignmentName,
}

/// A host that does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreachableHost {
    /// Which.
    pub host: Hostname,
    /// Why, for people.
    pub reason: String,
}

// === impl Plan ===

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

// === impl Step ===

impl Step {
    /// The assignment that the step is about.
    pub fn assignment(&self) -> Option<&AssignmentName> {
        self.order().map(|order| &order.assignment)
    }

    /// What the host is sent.
    pub fn order(&self) -> Option<&Order> {
        match &self.kind {
            StepKind::Enrol => None,
            StepKind::Apply(order) | StepKind::Remove(order) => Some(order),
        }
    }
}
