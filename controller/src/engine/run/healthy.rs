//! Once an assignment is achieved, its probes must say that it is healthy, where it has some.

use std::time::Duration;

use foundry_proto::agent::v1::{Assign, Assignment, HealthCheck, task};
use foundry_proto::operator::v1::StepOutcome;
use prost::Message as _;
use tokio::time::{Instant, sleep_until};

use super::super::Engine;
use super::super::view::HostView;
use super::Active;
use super::apply::Stored;
use super::settle::{events_hint, removed_meanwhile};
use super::step::StepEnd;

/// What a health check may take to be healthy for the first time, where it says nothing.
const START_PERIOD: Duration = Duration::from_secs(60);

/// Waits until its probes are content; `end` is how the step ends then.
pub(super) async fn healthy(
    engine: &Engine,
    active: &Active,
    stored: &Stored,
    end: StepEnd,
) -> StepEnd {
    let Some(allowed) = start_period(&stored.assign) else {
        return end;
    };
    let until = Instant::now() + allowed;
    let view = &engine.inner.core.view;
    let Some(mut news) = view.watch(stored.host) else {
        return removed_meanwhile();
    };
    loop {
        let look = |host: &HostView| {
            let holding = host.holdings.get(&stored.name)?;
            let current = holding.health_revision >= stored.assign.revision;
            current.then(|| (holding.healthy, holding.health_message.clone()))
        };
        let said = view.read(stored.host, look).flatten();
        if matches!(said, Some((Some(true), _))) {
            return end;
        }
        tokio::select! {
            _ = news.changed() => {}
            () = active.leave.cancelled() => {
                return StepEnd::new(StepOutcome::Cancelled, "the run was cancelled before it was healthy");
            }
            () = sleep_until(until) => {
                let cause = match said {
                    Some((_, message)) if !message.is_empty() => message,
                    Some(_) => "its health check fails".to_owned(),
                    None => "its health check did not answer".to_owned(),
                };
                let cause = format!("it runs, but is not healthy: {cause}");
                return StepEnd { hints: vec![events_hint(stored)], ..StepEnd::failed(cause) };
            }
        }
    }
}

/// How long the assignment's slowest health check may take to pass; `None`: it has none.
fn start_period(assign: &Assign) -> Option<Duration> {
    let assignment = Assignment::decode(assign.content.clone()).ok()?;
    let checks = assignment
        .tasks
        .into_iter()
        .filter_map(|task| match task.kind? {
            task::Kind::Unit(unit) => unit.health,
            task::Kind::ContainerService(service) => service.health,
            task::Kind::Directory(_)
            | task::Kind::File(_)
            | task::Kind::Image(_)
            | task::Kind::Package(_)
            | task::Kind::Command(_)
            | task::Kind::K3sNode(_) => None,
        });
    let period = |check: HealthCheck| match check.start_period_ms {
        0 => START_PERIOD,
        ms => Duration::from_millis(ms),
    };
    checks.map(period).max()
}
