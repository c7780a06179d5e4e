//! Carrying out a plan: what is ready runs, as much at a time as is good.

use std::sync::Arc;

use foundry_plan::{Step, StepKind};
use foundry_proto::operator::v1::{OnFailure, RunOutcome, StepOutcome, StepStarted};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::planning::Kept;
use super::super::{Engine, lease};
use super::step::{StepEnd, chain, record};
use super::walk::Walk;
use super::{Active, apply, enrolment, progress};

/// Steps that are under way at the same time.
const AT_A_TIME: usize = 256;

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
    let progress = tokio::spawn(progress::pass_on(
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
            ..StepEnd::failed(chain(&error))
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
