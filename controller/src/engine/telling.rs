//! Events of agents in the words of the event log.

use std::borrow::Cow;

use foundry_proto::agent::v1::{Event, JobOutcome, Phase, event, job_outcome};
use foundry_proto::operator::v1::EventRecord;

/// The log's record of an event of this host.
pub(super) fn event(hostname: &str, event: &Event, now_ms: u64) -> EventRecord {
    let (kind, text) = match &event.body {
        None => (
            "unknown",
            Cow::Borrowed("an event that this version does not know"),
        ),
        Some(event::Body::Accepted(_)) => ("accepted", Cow::Borrowed("accepted")),
        Some(event::Body::Rejected(rejected)) => ("rejected", Cow::Borrowed(&*rejected.reason)),
        Some(event::Body::Task(task)) => {
            let result = if !task.error.is_empty() {
                format!("{}: failed: {}", task.task, task.error)
            } else if task.changed && !task.diff.is_empty() {
                format!("{}: changed: {}", task.task, task.diff)
            } else if task.changed {
                format!("{}: changed", task.task)
            } else {
                format!("{}: unchanged", task.task)
            };
            ("task", Cow::Owned(result))
        }
        Some(event::Body::Outcome(outcome)) => {
            let phase = phase_word(outcome.phase());
            let text = match outcome.message.as_str() {
                "" => Cow::Borrowed(phase),
                message => Cow::Owned(format!("{phase}: {message}")),
            };
            ("outcome", text)
        }
        Some(event::Body::Job(job)) => ("job", Cow::Owned(job_text(job))),
        Some(event::Body::Lost(lost)) => ("lost", Cow::Borrowed(&*lost.what)),
    };
    EventRecord {
        at_ms: now_ms.saturating_sub(event.age_ms),
        host: hostname.to_owned(),
        assignment: event.assignment.clone(),
        revision: event.revision,
        kind: kind.to_owned(),
        text: text.into_owned(),
        ..EventRecord::default()
    }
}

/// A phase as the JSON contract spells it.
pub(super) fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Accepted => "pending",
        Phase::Applying => "applying",
        Phase::Achieved => "achieved",
        Phase::Failed => "failed",
        Phase::Superseded => "superseded",
        Phase::Cancelled => "cancelled",
        Phase::Removing => "removing",
        Phase::Removed => "removed",
        Phase::Unknown | Phase::Unspecified => "unknown",
    }
}

fn job_text(job: &JobOutcome) -> String {
    let result = match job.result() {
        job_outcome::Result::Done => "done",
        job_outcome::Result::Failed => "failed",
        job_outcome::Result::Cancelled => "cancelled",
        job_outcome::Result::Deadline => "ended at its deadline",
        job_outcome::Result::Unknown | job_outcome::Result::Unspecified => {
            "ended, nobody knows how"
        }
    };
    match job.message.as_str() {
        "" => format!("job {} {result}", job.id),
        message => format!("job {} {result}: {message}", job.id),
    }
}
