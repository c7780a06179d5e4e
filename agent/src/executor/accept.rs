//! Whether an assignment can be accepted, and what the ledger then holds. Pure.

use foundry_proto::agent::v1::{Accepted, Assign, Assignment, Outcome, Phase, event::Body};
use foundry_proto::{AssignmentName, Digest};
use prost::Message as _;

use crate::ledger::{Record, Stamp};
use crate::tasks;

/// The longest assignment that is taken, in bytes.
const MOST_CONTENT: usize = 4 * 1024 * 1024;

/// The most tasks of one assignment.
const MOST_TASKS: usize = 256;

/// Why an assignment is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("not the name of an assignment: {0}")]
    Name(String),
    #[error("it has {0} bytes, more than the {MOST_CONTENT} that are taken")]
    TooLong(usize),
    #[error("its bytes are not those that its digest covers")]
    Digest,
    #[error("it cannot be read: {0}")]
    Malformed(String),
    #[error("it says that its name is `{0}`")]
    OtherName(String),
    #[error("it has {0} tasks, more than the {MOST_TASKS} that are taken")]
    TooMany(usize),
    #[error("task `{0}` stands in it twice, or has no id")]
    TaskId(String),
    #[error("task `{task}` is not supported by this agent: {what}")]
    Unsupported { task: String, what: String },
    #[error("revision {held} is held already")]
    Older { held: u64 },
    #[error("revision {0} is held already, with other content")]
    OtherContent(u64),
}

/// What accepting comes to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Acceptance {
    /// It is held already: nothing changes.
    Known,
    /// The record to be written, and the events that go with it.
    New(Box<Record>, Vec<(u64, Body)>),
}

/// Checks what can be checked without knowing what is held.
pub(super) fn check(assign: &Assign) -> Result<Assignment, Refusal> {
    if let Err(error) = assign.name.parse::<AssignmentName>() {
        return Err(Refusal::Name(error.to_string()));
    }
    if assign.content.len() > MOST_CONTENT {
        return Err(Refusal::TooLong(assign.content.len()));
    }
    if Digest::try_from(&assign.digest) != Ok(Digest::of(&assign.content)) {
        return Err(Refusal::Digest);
    }
    let assignment = Assignment::decode(assign.content.clone())
        .map_err(|error| Refusal::Malformed(error.to_string()))?;
    if assignment.name != assign.name {
        return Err(Refusal::OtherName(assignment.name));
    }
    if assignment.tasks.len() > MOST_TASKS {
        return Err(Refusal::TooMany(assignment.tasks.len()));
    }
    let mut ids = std::collections::BTreeSet::new();
    for task in &assignment.tasks {
        if task.id.is_empty() || !ids.insert(&task.id) {
            return Err(Refusal::TaskId(task.id.clone()));
        }
        if let Some(what) = tasks::unsupported(task) {
            return Err(Refusal::Unsupported {
                task: task.id.clone(),
                what,
            });
        }
    }
    Ok(assignment)
}

/// Accepts an assignment that was checked, in place of what is held under its name.
pub(super) fn accept(
    held: Option<&Record>,
    assign: Assign,
    now: &Stamp,
) -> Result<Acceptance, Refusal> {
    let mut events = Vec::new();
    let mut record = held.cloned().unwrap_or_default();
    if held.is_some() {
        if assign.revision < record.revision {
            return Err(Refusal::Older {
                held: record.revision,
            });
        }
        if assign.revision == record.revision {
            if assign.digest != record.digest {
                return Err(Refusal::OtherContent(record.revision));
            }
            return Ok(Acceptance::Known);
        }
        let superseded = Outcome {
            phase: Phase::Superseded.into(),
            message: format!("revision {} came before it was done", assign.revision),
            duration_ms: age(&record, now),
            kept: Vec::new(),
        };
        let old = record.revision;
        events.extend(
            record
                .conclude(old, superseded, now)
                .map(|outcome| (old, outcome)),
        );
    }
    record.name = assign.name;
    record.revision = assign.revision;
    record.digest = assign.digest;
    record.content = assign.content;
    record.retry = assign.retry;
    record.set_phase(Phase::Accepted);
    record.message.clear();
    record.accepted = Some(now.clone());
    record.begun = 0;
    record.failures = 0;
    events.push((record.revision, Body::Accepted(Accepted {})));
    Ok(Acceptance::New(Box::new(record), events))
}

/// How long ago the revision was accepted, in milliseconds.
pub(super) fn age(record: &Record, now: &Stamp) -> u64 {
    record
        .accepted
        .as_ref()
        .map_or(0, |accepted| accepted.age_ms(now))
}

#[cfg(test)]
mod tests {
    use foundry_proto::Digest;
    use foundry_proto::agent::v1::{Assign, Assignment, Directory, Phase, Task, event::Body, task};
    use prost::Message as _;

    use super::{Acceptance, Refusal, accept, check};
    use crate::ledger::{Record, Stamp};

    fn assign(revision: u64, path: &str) -> Assign {
        let directory = Directory {
            path: path.to_owned(),
            ..Directory::default()
        };
        let task = Task {
            id: "dir".to_owned(),
            feature_level: 1,
            kind: Some(task::Kind::Directory(directory)),
            ..Task::default()
        };
        let assignment = Assignment {
            name: "zot".to_owned(),
            tasks: vec![task],
            ..Assignment::default()
        };
        let content = bytes::Bytes::from(assignment.encode_to_vec());
        let digest = Digest::of(&content).to_bytes();
        Assign {
            name: "zot".to_owned(),
            revision,
            digest,
            content,
            ..Assign::default()
        }
    }

    fn accepted(held: Option<&Record>, assign: Assign) -> (Record, Vec<(u64, Body)>) {
        match accept(held, assign, &Stamp::default()) {
            Ok(Acceptance::New(record, events)) => (*record, events),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_the_digest_does_not_cover_is_refused() {
        let mut changed = assign(1, "/a");
        assert!(check(&changed).is_ok());
        changed.content = assign(1, "/b").content;
        assert_eq!(check(&changed), Err(Refusal::Digest));
        let mut renamed = assign(1, "/a");
        renamed.name = "other".to_owned();
        assert_eq!(check(&renamed), Err(Refusal::OtherName("zot".to_owned())));
        renamed.name = "../zot".to_owned();
        assert!(matches!(check(&renamed), Err(Refusal::Name(_))));
    }

    #[test]
    fn a_lower_revision_and_a_changed_one_are_refused() {
        let (held, _) = accepted(None, assign(5, "/a"));
        let again = |assign| accept(Some(&held), assign, &Stamp::default());
        assert_eq!(again(assign(4, "/a")), Err(Refusal::Older { held: 5 }));
        assert_eq!(again(assign(5, "/b")), Err(Refusal::OtherContent(5)));
        assert_eq!(again(assign(5, "/a")), Ok(Acceptance::Known));
    }

    #[test]
    fn a_newer_revision_ends_the_open_one_but_not_one_that_had_its_outcome() {
        let (mut held, _) = accepted(None, assign(1, "/a"));
        let (record, events) = accepted(Some(&held), assign(2, "/b"));
        assert_eq!((record.revision, record.phase()), (2, Phase::Accepted));
        let [(1, Body::Outcome(outcome)), (2, Body::Accepted(_))] = &events[..] else {
            panic!("{events:?}");
        };
        assert_eq!(outcome.phase(), Phase::Superseded);
        held.set_phase(Phase::Failed);
        assert_eq!(accepted(Some(&held), assign(2, "/b")).1.len(), 1);
    }
}
