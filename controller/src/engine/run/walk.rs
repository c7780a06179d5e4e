//! The order of a run's steps: what failed stops only what depends on it. All but its questions is pure.

use std::collections::{HashMap, VecDeque};

use foundry_plan::Step;
use foundry_proto::operator::v1::{OnFailure, Question, RunOutcome, StepOutcome};

use super::super::Engine;
use super::Active;
use super::step::StepEnd;

/// The walk of one run.
pub(super) struct Walk {
    pub(super) steps: Vec<Walked>,
    pub(super) ready: VecDeque<usize>,
    /// Why no more steps are started.
    pub(super) stopped: Option<(StepOutcome, &'static str)>,
}

/// A step on the walk.
pub(super) struct Walked {
    pub(super) step: Step,
    dependents: Vec<usize>,
    /// Steps that it still waits for.
    waits_for: usize,
    /// What it depends on and did not go well.
    doomed_by: Option<String>,
    end: Option<StepEnd>,
}

// === impl Walk ===

impl Walk {
    pub(super) fn new(steps: &[Step]) -> Self {
        let numbered = steps.iter().enumerate();
        let index_of: HashMap<&str, usize> = numbered
            .map(|(index, step)| (step.id.as_str(), index))
            .collect();
        let mut walked: Vec<Walked> = steps
            .iter()
            .map(|step| Walked {
                step: step.clone(),
                dependents: Vec::new(),
                waits_for: step.after.len(),
                doomed_by: None,
                end: None,
            })
            .collect();
        for (index, step) in steps.iter().enumerate() {
            for before in &step.after {
                match index_of.get(before.as_str()) {
                    Some(before) => walked[*before].dependents.push(index),
                    None => walked[index].waits_for -= 1,
                }
            }
        }
        let ready = (0..walked.len())
            .filter(|index| walked[*index].waits_for == 0)
            .collect();
        Self {
            steps: walked,
            ready,
            stopped: None,
        }
    }

    /// Why this step is not started, if it is not.
    pub(super) fn refusal(&self, index: usize) -> Option<StepEnd> {
        if let Some(cause) = &self.steps[index].doomed_by {
            return Some(StepEnd::new(StepOutcome::Skipped, cause.clone()));
        }
        self.stopped
            .map(|(outcome, cause)| StepEnd::new(outcome, cause))
    }

    /// A step ended: what waited only for it is ready, be it to run or to be skipped.
    pub(super) fn finish(&mut self, index: usize, end: StepEnd) {
        let word = match end.outcome {
            StepOutcome::Ok => None,
            StepOutcome::Failed => Some("failed"),
            StepOutcome::Pending => Some("is pending"),
            StepOutcome::Skipped => Some("was skipped"),
            StepOutcome::Cancelled => Some("was cancelled"),
            StepOutcome::Interrupted | StepOutcome::Unspecified => Some("did not end"),
        };
        let doom = word.map(|word| format!("{} {word}", self.steps[index].step.id));
        self.steps[index].end = Some(end);
        for dependent in std::mem::take(&mut self.steps[index].dependents) {
            let step = &mut self.steps[dependent];
            step.waits_for -= 1;
            if step.doomed_by.is_none() {
                step.doomed_by.clone_from(&doom);
            }
            if step.waits_for == 0 {
                self.ready.push_back(dependent);
            }
        }
    }

    /// Whether the run goes on after a failure. A question that nobody answers is a no.
    pub(super) async fn goes_on(
        &self,
        active: &Active,
        engine: &Engine,
        on_failure: OnFailure,
    ) -> bool {
        match on_failure {
            OnFailure::Unspecified | OnFailure::Continue => true,
            OnFailure::Abort => false,
            OnFailure::Ask if self.steps.iter().all(|step| step.end.is_some()) => true,
            OnFailure::Ask => {
                let (id, answered) = active.question.ask();
                let text = "a step failed: go on with what does not depend on it?".to_owned();
                active.journal.ask(Question { id, text });
                let answer = tokio::time::timeout(engine.inner.timing.answer, answered);
                tokio::select! {
                    answer = answer => matches!(answer, Ok(Ok(true))),
                    () = active.cancel.cancelled() => false,
                }
            }
        }
    }

    /// How the run ended, all in all.
    pub(super) fn outcome(
        &self,
        cancelled: bool,
        first_cause: Option<String>,
    ) -> (RunOutcome, String) {
        let count = |outcome| {
            let is = |step: &&Walked| step.end.as_ref().is_some_and(|end| end.outcome == outcome);
            self.steps.iter().filter(is).count()
        };
        let (ok, pending) = (count(StepOutcome::Ok), count(StepOutcome::Pending));
        let outcome = if ok == self.steps.len() {
            RunOutcome::Ok
        } else if cancelled {
            RunOutcome::Cancelled
        } else if ok + pending > 0 {
            RunOutcome::Partial
        } else {
            RunOutcome::Failed
        };
        let pending_cause = || {
            let is = |step: &&Walked| {
                step.end
                    .as_ref()
                    .is_some_and(|end| end.outcome == StepOutcome::Pending)
            };
            let step = self.steps.iter().find(is)?;
            Some(format!("{}: {}", step.step.id, step.end.as_ref()?.cause))
        };
        let cause = first_cause.or_else(pending_cause);
        let cause = cause.or_else(|| cancelled.then(|| "it was cancelled".to_owned()));
        (
            outcome,
            if outcome == RunOutcome::Ok {
                String::new()
            } else {
                cause.unwrap_or_default()
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use foundry_plan::{Step, StepKind};
    use foundry_proto::operator::v1::{RunOutcome, StepOutcome};

    use super::super::step::StepEnd;
    use super::Walk;

    fn step(id: &str, after: &[&str]) -> Step {
        Step {
            id: id.to_owned(),
            host: "node1".parse().unwrap(),
            kind: StepKind::Enrol,
            after: after.iter().map(|id| (*id).to_owned()).collect(),
            wave: 0,
        }
    }

    #[test]
    fn a_failure_skips_only_what_depends_on_it() {
        let steps = [
            step("a", &[]),
            step("b", &[]),
            step("after-a", &["a"]),
            step("after-b", &["b"]),
        ];
        let mut walk = Walk::new(&steps);
        assert_eq!(walk.ready, [0, 1]);
        walk.ready.clear();
        walk.finish(0, StepEnd::failed("no"));
        walk.finish(1, StepEnd::ok(true));
        assert_eq!(walk.ready, [2, 3]);
        let skipped = walk.refusal(2).unwrap();
        assert_eq!(
            (skipped.outcome, &*skipped.cause),
            (StepOutcome::Skipped, "a failed")
        );
        assert_eq!(walk.refusal(3), None);
        walk.finish(2, skipped);
        walk.finish(3, StepEnd::ok(true));
        let (outcome, cause) = walk.outcome(false, Some("a: no".to_owned()));
        assert_eq!((outcome, &*cause), (RunOutcome::Partial, "a: no"));
    }

    #[test]
    fn nothing_well_is_failed_and_all_well_is_ok() {
        let mut walk = Walk::new(&[step("a", &[]), step("b", &["a"])]);
        walk.finish(0, StepEnd::failed("no"));
        let skipped = walk.refusal(1).unwrap();
        walk.finish(1, skipped);
        assert_eq!(walk.outcome(false, None).0, RunOutcome::Failed);
        assert_eq!(Walk::new(&[]).outcome(false, None).0, RunOutcome::Ok);
    }

    #[test]
    fn what_waits_for_a_host_leaves_the_run_partial() {
        let mut walk = Walk::new(&[step("a", &[])]);
        walk.finish(0, StepEnd::new(StepOutcome::Pending, "away"));
        assert_eq!(
            walk.outcome(false, None),
            (RunOutcome::Partial, "a: away".to_owned())
        );
    }
}
