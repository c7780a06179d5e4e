//! How a step ends.

use foundry_plan::Step;
use foundry_proto::operator::v1::{StepOutcome, StepRecord};

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StepEnd {
    pub(super) outcome: StepOutcome,
    pub(super) cause: String,
    pub(super) hints: Vec<String>,
    pub(super) changed: bool,
}

/// The step's record, as it is stored and told.
pub(super) fn record(step: &Step, end: &StepEnd, duration_ms: u64) -> StepRecord {
    StepRecord {
        id: step.id.clone(),
        host: step.host.to_string(),
        assignment: step
            .assignment()
            .map(ToString::to_string)
            .unwrap_or_default(),
        outcome: end.outcome.into(),
        cause: end.cause.clone(),
        duration_ms,
        hints: end.hints.clone(),
        changed: end.changed,
    }
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

// === impl StepEnd ===

impl StepEnd {
    /// With this outcome because of this.
    pub(super) fn new(outcome: StepOutcome, cause: impl Into<String>) -> Self {
        Self {
            outcome,
            cause: cause.into(),
            hints: Vec::new(),
            changed: false,
        }
    }

    /// It went well.
    pub(super) fn ok(changed: bool) -> Self {
        Self {
            changed,
            ..Self::new(StepOutcome::Ok, "")
        }
    }

    /// It failed because of this.
    pub(super) fn failed(cause: impl Into<String>) -> Self {
        Self::new(StepOutcome::Failed, cause)
    }
}
