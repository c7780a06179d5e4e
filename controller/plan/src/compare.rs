//! One assignment on one host: what is wanted against what is.

use foundry_proto::Digest;
use foundry_proto::agent::v1 as wire;

use crate::inputs::{Desired, Known, Phase};
use crate::output::{Action, Revision};

/// What of an assignment could be seen.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sight<'a> {
    /// The host compared each task.
    Seen(&'a [wire::TaskDiff]),
    /// It did not: only what is known of it counts.
    Unseen,
    /// Nothing is there yet, and nobody to look: it has to be enrolled by this step.
    Bare(&'a str),
}

/// The host's newest revision under this name, compared by content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing<'a> {
    /// It has none, or took it away at this revision.
    Absent(u64),
    /// It has none, and this content waits for it.
    Stored(u64),
    /// It has another content.
    Other(u64),
    /// It reached this content.
    Reached(u64),
    /// It is at it.
    Underway(u64),
    /// It tried this content and stopped: failed, cancelled, superseded or interrupted.
    Ended(u64, &'a str),
}

/// What follows for one assignment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) changes: Vec<TaskChange>,
    pub(crate) unchanged: u32,
    /// The host had reached this content: what differs was changed since.
    pub(crate) reached: bool,
    pub(crate) obstacles: Vec<Obstacle>,
    /// Under which number the host is sent it; none: it needs nothing.
    pub(crate) order: Option<Revision>,
}

/// A change without its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TaskChange {
    pub(crate) task: String,
    pub(crate) action: Action,
    pub(crate) drift: bool,
    pub(crate) diff: String,
    pub(crate) known_after: Option<String>,
}

/// What the host says that it cannot do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// Something that is not ours is in the way.
    Blocked(String),
    /// The agent is too old for the task.
    Unsupported(String),
}

/// Said where a host could not be asked.
pub(crate) const FROM_LAST_KNOWN: &str = "planned from the last known state";

/// What the host has, against this content.
pub(crate) fn standing(digest: Digest, known: Option<&Known>) -> Standing<'_> {
    let Some(known) = known else {
        return Standing::Absent(0);
    };
    let revision = known.revision;
    match known.phase {
        _ if known.stored && known.digest == digest => Standing::Stored(revision),
        _ if known.stored => Standing::Absent(revision),
        Phase::Removed => Standing::Absent(revision),
        _ if known.digest != digest => Standing::Other(revision),
        Phase::Achieved => Standing::Reached(revision),
        Phase::Accepted | Phase::Applying | Phase::Removing => Standing::Underway(revision),
        Phase::Failed
        | Phase::Superseded
        | Phase::Cancelled
        | Phase::Unknown
        | Phase::Unspecified => Standing::Ended(revision, &known.message),
    }
}

/// What has to be done so that the host has this content.
pub(crate) fn apply(want: &Desired, known: Option<&Known>, sight: Sight<'_>) -> Verdict {
    let standing = standing(want.digest, known);
    let mut verdict = match sight {
        Sight::Seen(tasks) => seen(tasks, matches!(standing, Standing::Reached(_))),
        Sight::Unseen => unseen(want, standing),
        Sight::Bare(step) => bare(want, step),
    };
    verdict.reached = matches!(standing, Standing::Reached(_));
    verdict.order = match standing {
        Standing::Reached(_) if verdict.changes.is_empty() => None,
        Standing::Stored(revision) | Standing::Underway(revision) => {
            Some(Revision::Pending(revision))
        }
        Standing::Absent(revision)
        | Standing::Other(revision)
        | Standing::Reached(revision)
        | Standing::Ended(revision, _) => Some(Revision::Above(revision)),
    };
    if verdict.order.is_some() && verdict.changes.is_empty() && verdict.obstacles.is_empty() {
        verdict
            .changes
            .push(TaskChange::whole(Action::Update, reason(standing)));
    }
    verdict
}

/// What has to be done so that the host has nothing under this name.
pub(crate) fn remove(removal: &Desired, known: &Known) -> Verdict {
    let order = match standing(removal.digest, Some(known)) {
        // Nothing is there, but it would be once the host takes what is stored.
        Standing::Absent(revision) if known.stored => Revision::Above(revision),
        // Removed already, or by an order whose outcome says so.
        Standing::Absent(_) | Standing::Reached(_) => return Verdict::default(),
        Standing::Stored(revision) | Standing::Underway(revision) => Revision::Pending(revision),
        Standing::Other(revision) | Standing::Ended(revision, _) => Revision::Above(revision),
    };
    let diff = if removal.assignment.purge {
        "with its data"
    } else {
        "its data is kept"
    };
    Verdict {
        changes: vec![TaskChange::whole(Action::Remove, diff.to_owned())],
        order: Some(order),
        ..Verdict::default()
    }
}

fn seen(tasks: &[wire::TaskDiff], reached: bool) -> Verdict {
    let mut verdict = Verdict::default();
    for task in tasks {
        let action = match task.action() {
            wire::Action::Unchanged => {
                verdict.unchanged += 1;
                continue;
            }
            wire::Action::Blocked => {
                verdict.obstacles.push(Obstacle::Blocked(task.diff.clone()));
                continue;
            }
            // A value that this controller does not know is one that it cannot plan with.
            wire::Action::Unsupported | wire::Action::Unspecified => {
                verdict
                    .obstacles
                    .push(Obstacle::Unsupported(task.diff.clone()));
                continue;
            }
            wire::Action::Create => Action::Create,
            wire::Action::Update => Action::Update,
            wire::Action::Remove => Action::Remove,
        };
        verdict.changes.push(TaskChange {
            task: task.task.clone(),
            action,
            drift: reached,
            diff: task.diff.clone(),
            known_after: None,
        });
    }
    verdict
}

fn unseen(want: &Desired, standing: Standing<'_>) -> Verdict {
    match standing {
        Standing::Reached(_) => {
            let tasks = u32::try_from(want.assignment.tasks.len()).unwrap_or(u32::MAX);
            Verdict {
                unchanged: tasks,
                ..Verdict::default()
            }
        }
        Standing::Absent(_) | Standing::Stored(_) => created(want, FROM_LAST_KNOWN, None),
        Standing::Other(_) | Standing::Underway(_) | Standing::Ended(..) => Verdict {
            changes: vec![TaskChange::whole(
                Action::Update,
                format!("{} ({FROM_LAST_KNOWN})", reason(standing)),
            )],
            ..Verdict::default()
        },
    }
}

fn bare(want: &Desired, step: &str) -> Verdict {
    created(want, "", Some(step))
}

fn created(want: &Desired, diff: &str, known_after: Option<&str>) -> Verdict {
    let change = |task: &wire::Task| TaskChange {
        task: task.id.clone(),
        action: Action::Create,
        drift: false,
        diff: diff.to_owned(),
        known_after: known_after.map(str::to_owned),
    };
    Verdict {
        changes: want.assignment.tasks.iter().map(change).collect(),
        ..Verdict::default()
    }
}

/// Why a host is sent something although nothing on it looks different.
fn reason(standing: Standing<'_>) -> String {
    match standing {
        Standing::Absent(_) | Standing::Stored(_) => {
            "is in place already; the agent takes charge of it".to_owned()
        }
        Standing::Other(_) => "its settings change".to_owned(),
        Standing::Reached(_) => String::new(),
        Standing::Underway(revision) => format!("revision {revision} is being applied"),
        Standing::Ended(revision, "") => format!("revision {revision} was not reached"),
        Standing::Ended(revision, cause) => format!("revision {revision} was not reached: {cause}"),
    }
}

// === impl TaskChange ===

impl TaskChange {
    fn whole(action: Action, diff: String) -> Self {
        Self {
            task: String::new(),
            action,
            drift: false,
            diff,
            known_after: None,
        }
    }
}
