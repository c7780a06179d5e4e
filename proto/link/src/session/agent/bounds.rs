//! How long what the agent says may be. The controller ends a session that says more, so what is longer is cut here.

use foundry_proto::agent::v1::{
    DriftReport, Event, HealthReport, Hello, ObserveReply, Progress, TaskDiff, event,
};

/// The longest text, in bytes: a diff, a cause.
const TEXT: usize = 16 * 1024;

/// The shortest that many texts are cut to.
const LEAST: usize = 256;

/// All texts of one message together, in bytes.
const ALTOGETHER: usize = 512 * 1024;

/// The longest list of things kept.
const LIST: usize = 64;

/// What stands where something was cut off.
const CUT: &str = "… (cut)";

pub(super) fn hello(hello: &mut Hello) {
    let most = share(2 * hello.holdings.len());
    for holding in &mut hello.holdings {
        text(&mut holding.message, most);
        if let Some(health) = &mut holding.health {
            text(&mut health.message, most);
        }
    }
}

pub(super) fn event(event: &mut Event) {
    match &mut event.body {
        Some(event::Body::Rejected(rejected)) => text(&mut rejected.reason, TEXT),
        Some(event::Body::Task(task)) => {
            text(&mut task.diff, TEXT);
            text(&mut task.error, TEXT);
        }
        Some(event::Body::Outcome(outcome)) => {
            text(&mut outcome.message, TEXT);
            list(&mut outcome.kept);
        }
        Some(event::Body::Job(job)) => {
            text(&mut job.message, TEXT);
            list(&mut job.kept);
        }
        Some(event::Body::Lost(lost)) => text(&mut lost.what, TEXT),
        Some(event::Body::Accepted(_)) | None => {}
    }
}

pub(super) fn health(report: &mut HealthReport) {
    if let Some(health) = &mut report.health {
        text(&mut health.message, TEXT);
    }
}

pub(super) fn drift(report: &mut DriftReport) {
    let most = share(report.diffs.len());
    diffs(&mut report.diffs, most);
}

pub(super) fn progress(progress: &mut Progress) {
    text(&mut progress.text, TEXT);
}

pub(super) fn reply(reply: &mut ObserveReply) {
    let count = reply
        .assignments
        .iter()
        .map(|one| one.diffs.len() + 1)
        .sum();
    let most = share(count);
    for assignment in &mut reply.assignments {
        text(&mut assignment.error, most);
        diffs(&mut assignment.diffs, most);
    }
}

fn diffs(diffs: &mut [TaskDiff], most: usize) {
    for diff in diffs {
        text(&mut diff.diff, most);
    }
}

/// How long each of so many texts may be.
fn share(count: usize) -> usize {
    (ALTOGETHER / count.max(1)).clamp(LEAST, TEXT)
}

fn list(list: &mut Vec<String>) {
    if list.len() > LIST {
        list.truncate(LIST);
        list.push(CUT.to_owned());
    }
    for entry in list {
        text(entry, TEXT / 16);
    }
}

fn text(text: &mut String, most: usize) {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most.saturating_sub(CUT.len())));
        text.push_str(CUT);
    }
}

#[cfg(test)]
mod tests {
    use foundry_proto::agent::v1::{
        Event, ObserveReply, ObservedAssignment, Outcome, TaskDiff, TaskResult, event,
    };
    use prost::Message;

    use crate::session::MOST_EVENT;

    #[test]
    fn what_is_short_stays_as_it_is() {
        let task = TaskResult {
            diff: "a → b".to_owned(),
            ..Default::default()
        };
        let mut event = Event {
            body: Some(event::Body::Task(task)),
            ..Default::default()
        };
        let before = event.clone();
        super::event(&mut event);
        assert_eq!(event, before);
    }

    #[test]
    fn no_event_is_longer_than_the_controller_takes() {
        let long = "ä".repeat(500_000);
        let task = TaskResult {
            diff: long.clone(),
            error: long.clone(),
            ..Default::default()
        };
        let outcome = Outcome {
            message: long.clone(),
            kept: vec![long; 500],
            ..Default::default()
        };
        for body in [event::Body::Task(task), event::Body::Outcome(outcome)] {
            let mut event = Event {
                body: Some(body),
                ..Default::default()
            };
            super::event(&mut event);
            assert!(event.encoded_len() <= MOST_EVENT, "{}", event.encoded_len());
        }
    }

    #[test]
    fn many_long_diffs_share_one_message() {
        let diff = TaskDiff {
            diff: "x".repeat(100_000),
            ..Default::default()
        };
        let one = ObservedAssignment {
            diffs: vec![diff; 100],
            ..Default::default()
        };
        let mut reply = ObserveReply {
            assignments: vec![one; 10],
            ..Default::default()
        };
        super::reply(&mut reply);
        assert!(reply.encoded_len() < 700 * 1024, "{}", reply.encoded_len());
        let diffs = reply.assignments.iter().flat_map(|one| &one.diffs);
        assert!(diffs.into_iter().all(|diff| diff.diff.ends_with("(cut)")));
    }
}
