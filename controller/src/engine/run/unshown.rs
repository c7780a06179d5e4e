//! What a plan could not show, because its host was bare when it was made: that is not done.

use foundry_plan::{Order, Step};
use foundry_proto::HostId;
use foundry_proto::agent::v1::{Action, ObserveItem, TaskDiff};
use tokio::time::Instant;

use super::super::Engine;
use super::super::planning::{Kept, OBSERVE_TIMEOUT, action_of};
use super::step::StepEnd;

/// Compares what the host has now with what the plan showed. Something else is how the step ends.
pub(super) async fn look_again(
    engine: &Engine,
    kept: &Kept,
    step: &Step,
    order: &Order,
    host: HostId,
) -> Result<(), StepEnd> {
    let away = |cause: String| StepEnd {
        hints: vec!["run it again".to_owned()],
        ..StepEnd::failed(format!("it could not be compared with the plan: {cause}"))
    };
    let until = Instant::now() + OBSERVE_TIMEOUT;
    let session = engine.inner.listener.session_by(host, until).await;
    let session = session.ok_or_else(|| away("the host went away".to_owned()))?;
    let item = ObserveItem {
        name: order.assignment.to_string(),
        content: order.content.clone(),
    };
    let reply = session.observe(vec![item], false, OBSERVE_TIMEOUT).await;
    let reply = reply.map_err(|error| away(error.to_string()))?;
    for observed in reply.assignments {
        if !observed.error.is_empty() {
            return Err(away(observed.error));
        }
        let unshown = observed
            .diffs
            .iter()
            .find_map(|diff| objection(kept, step, order, diff));
        if let Some((cause, hint)) = unshown {
            return Err(StepEnd {
                hints: vec![hint.to_owned()],
                ..StepEnd::failed(cause)
            });
        }
    }
    Ok(())
}

/// What speaks against this difference, with what to do about it.
fn objection(
    kept: &Kept,
    step: &Step,
    order: &Order,
    diff: &TaskDiff,
) -> Option<(String, &'static str)> {
    let word = match diff.action() {
        Action::Unspecified | Action::Unchanged | Action::Create => return None,
        Action::Update => "changed",
        Action::Remove => "taken away",
        Action::Blocked => {
            let hint = "free it or change the file; foundry touches nothing that it did not make";
            return Some((format!("{}: {}", diff.task, diff.diff), hint));
        }
        Action::Unsupported => {
            let cause = format!("{}: the agent cannot do this: {}", diff.task, diff.diff);
            return Some((
                cause,
                "bring the host's agent up to date: `foundry host bootstrap`",
            ));
        }
    };
    let shown = kept.plan.changes.iter().any(|change| {
        change.host == step.host
            && change.assignment == order.assignment
            && change.task == diff.task
            && i32::from(action_of(change.action)) == diff.action
    });
    let cause = || {
        format!(
            "{} would be {word}, which the plan did not show: {}",
            diff.task, diff.diff
        )
    };
    (!shown).then(|| (cause(), "run it again: the plan shows it now"))
}
