//! Walking the steps of a plan: what is ready runs, as much at a time as is good; what failed stops only what depends on
//! it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use foundry_plan::{Step, StepKind};
use foundry_proto::operator::v1::{
    OnFailure, Question, RunOutcome, StepOutcome, StepRecord, StepStarted,
};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::super::planning::Kept;
use super::super::{Engine, lease};
use super::{Active, apply, enrolment};

/// Steps that are under way at the same time.
const AT_A_TIME: usize = 256;

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StepEnd {
    pub(super) outcome: StepOutcome,
    pub(super) cause: String,
    pub(super) hints: Vec<String>,
    pub(super) changed: bool,
}

/// What a run asks its operator.
#[derive(Default)]
pub(super) struct Questions {
    open: Mutex<Option<(String, oneshot::Sender<bool>)>>,
}

/// The walk of one run.
struct Walk {
    steps: Vec<Walked>,
    ready: VecDeque<usize>,
    /// Why no more steps are started.
    stopped: Option<(StepOutcome, &'static str)>,
}

/// A step on the walk.
struct Walked {
    step: Step,
    dependents: Vec<usize>,
    /// Steps that it still waits for.
    waits_for: usize,
    /// What it depends on and did not go well.
    doomed_by: Option<String>,
    end: Option<StepEnd>,
}

/// Carries out a plan from its first step to its last.
pub(super) async fn run(
    engine: Engine,
    active: Arc<Active>,
    kept: Arc<Kept>,
    on_failure: OnFailure,
) {
    let core = &engine.inner.core;
    let done = CancellationToken::new();
    let lease = tokio::spawn(lease::keep(
        Arc::clone(core),
        active.id.clone(),
        done.clone(),
        active.cancel.clone(),
    ));
    let progress = tokio::spawn(apply::pass_progress(
        engine.clone(),
        Arc::clone(&active),
        done.clone(),
    ));
    let walked = tokio::select! {
        walked = walk(&engine, &active, &kept, on_failure) => Some(walked),
        () = engine.inner.stop.cancelled() => None,
    };
    done.cancel();
    let _ = tokio::join!(lease, progress);
    // A controller that ends leaves its run as it is: the next one finds it, and calls it interrupted.
    let Some((outcome, cause)) = walked else {
        return engine.inner.runs.remove(&active.id);
    };
    let word = outcome
        .as_str_name()
        .to_lowercase()
        .replace("run_outcome_", "");
    core.note_run(&active.id, format!("ended: {word}")).await;
    if let Err(error) = lease::release(core, &active.id).await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "lease not given back"
        );
    }
    active.journal.run_ended(outcome, cause).await;
    engine.inner.runs.remove(&active.id);
}

async fn walk(
    engine: &Engine,
    active: &Arc<Active>,
    kept: &Arc<Kept>,
    on_failure: OnFailure,
) -> (RunOutcome, String) {
    let mut walk = Walk::new(&kept.plan.steps);
    let mut under_way = JoinSet::new();
    let mut first_cause = None;
    loop {
        if active.cancel.is_cancelled() {
            let cause = "the run was cancelled before it";
            walk.stopped.get_or_insert((StepOutcome::Cancelled, cause));
        }
        while under_way.len() < AT_A_TIME
            && let Some(index) = walk.ready.pop_front()
        {
            let step = walk.steps[index].step.clone();
            match walk.refusal(index) {
                Some(end) => {
                    let record = record(&step, &end, 0);
                    active.journal.step_ended(record).await;
                    walk.finish(index, end);
                }
                None => {
                    let doing =
                        carry_out(engine.clone(), Arc::clone(active), Arc::clone(kept), step);
                    under_way.spawn(async move { (index, doing.await) });
                }
            }
        }
        if under_way.is_empty() {
            break;
        }
        let ended = tokio::select! {
            ended = under_way.join_next() => ended,
            () = active.cancel.cancelled(), if walk.stopped.is_none() => continue,
        };
        match ended {
            Some(Ok((index, end))) => {
                let failed = end.outcome == StepOutcome::Failed;
                if failed {
                    let step = &walk.steps[index].step;
                    first_cause.get_or_insert_with(|| format!("{}: {}", step.id, end.cause));
                }
                walk.finish(index, end);
                if failed
                    && walk.stopped.is_none()
                    && !walk.goes_on(active, engine, on_failure).await
                {
                    let cause = "the run stops at its first failure";
                    walk.stopped = Some((StepOutcome::Skipped, cause));
                }
            }
            // A step that panicked is lost with its index; what depends on it never becomes ready.
            Some(Err(error)) => {
                tracing::error!(%error, "a step broke");
                first_cause
                    .get_or_insert_with(|| "a step broke: see the controller's log".to_owned());
            }
            None => {}
        }
    }
    walk.outcome(active.cancel.is_cancelled(), first_cause)
}

/// One step, with what is told about it.
async fn carry_out(engine: Engine, active: Arc<Active>, kept: Arc<Kept>, step: Step) -> StepEnd {
    let started = Instant::now();
    let told = active.journal.step_started(StepStarted {
        step: step.id.clone(),
        host: step.host.to_string(),
        assignment: step
            .assignment()
            .map(ToString::to_string)
            .unwrap_or_default(),
    });
    let end = match told.await {
        Err(error) => StepEnd {
            hints: error.hints(),
            ..StepEnd::failed(apply::chain(&error))
        },
        Ok(()) => match &step.kind {
            StepKind::Enrol => enrolment::wait(&engine, &active, &step.host).await,
            StepKind::Apply(order) | StepKind::Remove(order) => {
                apply::run(&engine, &active, &kept, &step, order).await
            }
        },
    };
    let duration = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    active
        .journal
        .step_ended(record(&step, &end, duration))
        .await;
    end
}

fn record(step: &Step, end: &StepEnd, duration_ms: u64) -> StepRecord {
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

// === impl Questions ===

impl Questions {
    /// Answers the open question, if this is it.
    pub(super) fn answer(&self, id: &str, go_on: bool) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.take_if(|(open, _)| open == id) {
            Some((_, answer)) => answer.send(go_on).is_ok(),
            None => false,
        }
    }

    fn ask(&self) -> (String, oneshot::Receiver<bool>) {
        let id = Uuid::new_v4().simple().to_string();
        let (answer, answered) = oneshot::channel();
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some((id.clone(), answer));
        (id, answered)
    }
}

// === impl Walk ===

impl Walk {
    fn new(steps: &[Step]) -> Self {
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
    fn refusal(&self, index: usize) -> Option<StepEnd> {
        if let Some(cause) = &self.steps[index].doomed_by {
            return Some(StepEnd::new(StepOutcome::Skipped, cause.clone()));
        }
        self.stopped
            .map(|(outcome, cause)| StepEnd::new(outcome, cause))
    }

    /// A step ended: what waited only for it is ready, be it to run or to be skipped.
    fn finish(&mut self, index: usize, end: StepEnd) {
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
    async fn goes_on(&self, active: &Active, engine: &Engine, on_failure: OnFailure) -> bool {
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
    fn outcome(&self, cancelled: bool, first_cause: Option<String>) -> (RunOutcome, String) {
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

    use super::{StepEnd, Walk};

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
