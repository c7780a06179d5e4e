//! How a run went.

use foundry_proto::operator::v1 as wire;
use serde::Serialize;

use super::plan::{SummaryDocument, filled};
use crate::output::time;

/// A run.
#[derive(Debug, Clone, Serialize)]
pub struct RunDocument {
    /// Its id; none where there was nothing to do.
    pub run: Option<String>,
    /// `ok`, `partial`, `failed`, `cancelled`, `interrupted`, or `running`.
    pub outcome: &'static str,
    /// In the order in which they ended.
    pub steps: Vec<StepDocument>,
    /// The first cause, where it did not end well.
    pub cause: Option<String>,
    /// Who asked for it: user@machine.
    pub who: Option<String>,
    /// What it was for, as they said.
    pub reason: Option<String>,
    /// When it began.
    pub started_at: Option<String>,
    /// How long it took, or has been going on.
    pub duration_ms: Option<u64>,
    /// What it was to change.
    pub summary: Option<SummaryDocument>,
    #[serde(skip)]
    pub(crate) started_ms: u64,
}

/// A step of a run.
#[derive(Debug, Clone, Serialize)]
pub struct StepDocument {
    /// Its id in the plan.
    pub id: String,
    /// Its host.
    pub host: String,
    /// Its assignment; empty for the controller's own steps.
    pub assignment: String,
    /// `ok`, `failed`, `skipped`, `cancelled`, `interrupted`, or `pending`: kept for a host that is away.
    pub outcome: &'static str,
    /// Why, where it did not end well.
    pub cause: Option<String>,
    /// How long it took.
    pub duration_ms: u64,
    /// It changed something.
    pub changed: bool,
    /// What to do about it.
    pub hints: Vec<String>,
}

/// Several runs.
#[derive(Debug, Clone, Serialize)]
pub struct RunsDocument {
    /// The newest first.
    pub runs: Vec<RunDocument>,
}

// === impl RunDocument ===

impl RunDocument {
    /// Nothing had to be done; `cause` is why that may not be all.
    pub fn nothing(cause: Option<String>) -> Self {
        Self {
            run: None,
            outcome: if cause.is_none() { "ok" } else { "partial" },
            steps: Vec::new(),
            cause,
            who: None,
            reason: None,
            started_at: None,
            duration_ms: None,
            summary: None,
            started_ms: 0,
        }
    }
}

impl From<&wire::Run> for RunDocument {
    fn from(run: &wire::Run) -> Self {
        Self {
            run: filled(&run.id),
            outcome: outcome(run.outcome()),
            steps: run.steps.iter().map(StepDocument::from).collect(),
            cause: filled(&run.cause),
            who: filled(&run.who),
            reason: filled(&run.reason),
            started_at: time::moment(run.started_ms),
            duration_ms: (run.ended_ms > 0).then(|| run.ended_ms.saturating_sub(run.started_ms)),
            summary: run.summary.as_ref().map(SummaryDocument::from),
            started_ms: run.started_ms,
        }
    }
}

impl From<&wire::StepRecord> for StepDocument {
    fn from(step: &wire::StepRecord) -> Self {
        Self {
            id: step.id.clone(),
            host: step.host.clone(),
            assignment: step.assignment.clone(),
            outcome: step_outcome(step.outcome()),
            cause: filled(&step.cause),
            duration_ms: step.duration_ms,
            changed: step.changed,
            hints: step.hints.clone(),
        }
    }
}

fn outcome(outcome: wire::RunOutcome) -> &'static str {
    match outcome {
        wire::RunOutcome::Unspecified => "unknown",
        wire::RunOutcome::Running => "running",
        wire::RunOutcome::Ok => "ok",
        wire::RunOutcome::Partial => "partial",
        wire::RunOutcome::Failed => "failed",
        wire::RunOutcome::Cancelled => "cancelled",
        wire::RunOutcome::Interrupted => "interrupted",
    }
}

fn step_outcome(outcome: wire::StepOutcome) -> &'static str {
    match outcome {
        wire::StepOutcome::Unspecified => "unknown",
        wire::StepOutcome::Ok => "ok",
        wire::StepOutcome::Failed => "failed",
        wire::StepOutcome::Skipped => "skipped",
        wire::StepOutcome::Cancelled => "cancelled",
        wire::StepOutcome::Interrupted => "interrupted",
        wire::StepOutcome::Pending => "pending",
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use foundry_proto::operator::v1 as wire;

    use super::RunDocument;

    /// A run of which one host's part failed.
    pub(crate) fn sample() -> RunDocument {
        RunDocument::from(&wire::Run {
            id: "r-20261124-1".to_owned(),
            outcome: wire::RunOutcome::Partial.into(),
            who: "ada@desk".to_owned(),
            started_ms: 1_700_000_000_000,
            ended_ms: 1_700_000_004_200,
            cause: "node2: connection refused".to_owned(),
            steps: vec![
                wire::StepRecord {
                    id: "node1/service/whoami".to_owned(),
                    host: "node1".to_owned(),
                    assignment: "service/whoami".to_owned(),
                    outcome: wire::StepOutcome::Ok.into(),
                    duration_ms: 1200,
                    changed: true,
                    ..Default::default()
                },
                wire::StepRecord {
                    id: "node2/enrol".to_owned(),
                    host: "node2".to_owned(),
                    outcome: wire::StepOutcome::Failed.into(),
                    cause: "connection refused by 192.0.2.7:22".to_owned(),
                    duration_ms: 90,
                    hints: vec!["is sshd running there?".to_owned()],
                    ..Default::default()
                },
            ],
            summary: Some(wire::Summary {
                create: 4,
                ..Default::default()
            }),
            ..Default::default()
        })
    }

    #[test]
    fn the_shape_is_fixed() {
        insta::assert_json_snapshot!(sample());
    }
}
