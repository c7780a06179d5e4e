//! Bringing one assignment of one host to a revision: stored first, then sent, then waited for.
//!
//! A host that is away gets it when it returns, run or no run: what is stored is what it should have.

use std::time::Duration;

use foundry_plan::{Order, Revision, Step};
use foundry_proto::agent::v1::{
    Action, Assign, Assignment, HealthCheck, ObserveItem, Phase, TaskDiff, event, task,
};
use foundry_proto::operator::v1::{StepOutcome, StepProgress};
use foundry_proto::{AssignmentName, HostId};
use prost::Message as _;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::super::Engine;
use super::super::clock::now_ms;
use super::super::planning::{Kept, OBSERVE_TIMEOUT, action_of};
use super::super::view::{self, HostView};
use super::Active;
use super::execute::StepEnd;
use crate::hub::{HubEvent, SessionError};
use crate::store::{Next, StoreError};

/// A host that has no session when its step begins is waited for so long.
const PATIENCE: Duration = Duration::from_secs(2);
/// A row that others change at the same time is read and changed again this often.
const TRIES: usize = 5;
/// What a health check may take to be healthy for the first time, where it says nothing.
const START_PERIOD: Duration = Duration::from_secs(60);

/// What was stored for a host.
struct Stored {
    host: HostId,
    name: AssignmentName,
    assign: Assign,
    removal: bool,
}

/// What the host says of a revision.
enum Verdict {
    Waiting,
    Done { changed: bool },
    Failed(String),
}

/// Carries out one step.
pub(super) async fn run(
    engine: &Engine,
    active: &Active,
    kept: &Kept,
    step: &Step,
    order: &Order,
) -> StepEnd {
    let deadline = Instant::now() + engine.inner.timing.step;
    let Some(host) = engine.inner.core.view.by_name(step.host.as_str()) else {
        return StepEnd::failed("the host is not enrolled, or no longer");
    };
    if kept.plan.enrol.contains(&step.host)
        && let Err(end) = look_again(engine, kept, step, order, host).await
    {
        return end;
    }
    let stored = match store(engine, active, order, host).await {
        Ok(stored) => stored,
        Err(error) => {
            return StepEnd {
                hints: error.hints(),
                ..StepEnd::failed(chain(&error))
            };
        }
    };
    let end = settle(engine, active, &stored, deadline).await;
    if end.outcome == StepOutcome::Ok && !stored.removal {
        return healthy(engine, active, &stored, end).await;
    }
    end
}

/// A host that was bare when the plan was made may have more than was expected: what was not shown is not done.
async fn look_again(
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

/// Stores what the host should have; a revision that is already there for it is used again.
async fn store(
    engine: &Engine,
    active: &Active,
    order: &Order,
    host: HostId,
) -> Result<Stored, StoreError> {
    let core = &engine.inner.core;
    let assignments = &core.store.assignments;
    let name = &order.assignment;
    let removal = Assignment::decode(order.content.clone()).is_ok_and(|content| content.removed);
    let mut tries = 0;
    loop {
        let current = assignments.get(host, name).await?;
        let undelivered = current.as_ref().filter(|wanted| {
            let awaited = match order.revision {
                Revision::Pending(revision) => wanted.revision == revision,
                Revision::Above(reported) => wanted.revision > reported,
            };
            awaited
                && wanted.digest == order.digest
                && !wanted.forgotten
                && !core.view.is_over(host, wanted)
        });
        if let Some(wanted) = undelivered {
            let assign = assignments.open(host, wanted)?;
            return Ok(Stored {
                host,
                name: name.clone(),
                assign,
                removal,
            });
        }
        let (Revision::Above(above) | Revision::Pending(above)) = order.revision;
        let next = Next {
            name: name.clone(),
            content: order.content.clone(),
            slots: Vec::new(),
            retry: None,
            removed: removal,
            above,
            made_ms: now_ms(),
            run: active.id.clone(),
        };
        let (assign, write) = assignments.next(host, current.as_ref(), next)?;
        match core.store.write(vec![write]).await {
            Err(error) if error.is_conflict() && tries < TRIES => tries += 1,
            Err(error) => return Err(error),
            Ok(_) => {
                let digest = order.digest;
                let order = view::Order {
                    revision: assign.revision,
                    digest,
                    removed: removal,
                };
                core.view
                    .update(host, |host| host.orders.insert(name.clone(), order));
                return Ok(Stored {
                    host,
                    name: name.clone(),
                    assign,
                    removal,
                });
            }
        }
    }
}

/// Sends it, and waits for how it ends.
async fn settle(engine: &Engine, active: &Active, stored: &Stored, deadline: Instant) -> StepEnd {
    let Stored {
        host, name, assign, ..
    } = stored;
    let inner = &engine.inner;
    let Some(mut news) = inner.core.view.watch(*host) else {
        return removed_meanwhile();
    };
    let mut sent_over = None;
    let mut away_until = None;
    loop {
        let look = |host: &HostView| (verdict(host, name, assign.revision), host.connected_ms);
        let Some((verdict, connected)) = inner.core.view.read(*host, look) else {
            return removed_meanwhile();
        };
        match verdict {
            Verdict::Done { changed } => return StepEnd::ok(changed),
            Verdict::Failed(cause) => return failed_on_host(cause, stored),
            Verdict::Waiting => {}
        }
        if connected.is_some() {
            away_until = None;
        } else {
            let patience = if sent_over.is_some() {
                inner.timing.away
            } else {
                PATIENCE
            };
            away_until.get_or_insert_with(|| deadline.min(Instant::now() + patience));
        }
        if connected.is_some()
            && connected != sent_over
            && let Some(session) = inner.listener.session(*host)
        {
            match session.assign(assign.clone()).await {
                Ok(()) => sent_over = connected,
                Err(error @ SessionError::Refused { .. }) => {
                    return failed_on_host(error.to_string(), stored);
                }
                // It will be back, or the wait ends.
                Err(
                    SessionError::NotConnected(_)
                    | SessionError::Disconnected(_)
                    | SessionError::Timeout { .. }
                    | SessionError::Busy(_),
                ) => {}
            }
            continue_after(&mut news, sent_over == connected).await;
            continue;
        }
        let until = away_until.unwrap_or(deadline);
        if Instant::now() >= until {
            return out_of_time(engine, stored, away_until.is_some()).await;
        }
        tokio::select! {
            _ = news.changed() => {}
            () = sleep_until(until) => {}
            () = active.leave.cancelled() => {
                if let Some(session) = inner.listener.session(*host) {
                    let _ = session.cancel(name.as_str(), assign.revision).await;
                }
                return StepEnd::new(StepOutcome::Cancelled, "the run was cancelled in the middle of it");
            }
        }
    }
}

/// After a send that failed, the next try waits a moment: the session is about to be replaced.
async fn continue_after(news: &mut tokio::sync::watch::Receiver<u64>, sent: bool) {
    if !sent {
        let _ = tokio::time::timeout(Duration::from_millis(200), news.changed()).await;
    }
}

/// Once it is achieved, its probes must say that it is healthy, where it has some.
async fn healthy(engine: &Engine, active: &Active, stored: &Stored, end: StepEnd) -> StepEnd {
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
                return StepEnd { hints: vec![logs_hint(stored)], ..StepEnd::failed(cause) };
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

fn verdict(host: &HostView, name: &AssignmentName, revision: u64) -> Verdict {
    let changed = host.changed.get(name) == Some(&revision);
    let ended = host
        .endings
        .get(name)
        .filter(|ending| ending.revision == revision);
    let held = host.holdings.get(name);
    let (phase, message) = match (ended, held) {
        (Some(ending), _) => (ending.phase, ending.message.as_str()),
        (None, Some(held)) if held.revision == revision => (held.phase(), held.message.as_str()),
        (None, Some(held)) if held.revision > revision => (Phase::Superseded, ""),
        _ => return Verdict::Waiting,
    };
    let because = |what: &str| match message {
        "" => Verdict::Failed(what.to_owned()),
        message => Verdict::Failed(format!("{what}: {message}")),
    };
    match phase {
        Phase::Achieved | Phase::Removed => Verdict::Done { changed },
        Phase::Failed if message.is_empty() => because("it failed"),
        Phase::Failed => Verdict::Failed(message.to_owned()),
        Phase::Superseded => because("a newer revision took its place"),
        Phase::Cancelled => because("it was cancelled on the host"),
        Phase::Unknown => because("the host cannot tell how it ended"),
        Phase::Unspecified | Phase::Accepted | Phase::Applying | Phase::Removing => {
            Verdict::Waiting
        }
    }
}

async fn out_of_time(engine: &Engine, stored: &Stored, away: bool) -> StepEnd {
    if away {
        let cause = "the host is away: it is kept for it, and delivered when it returns";
        return StepEnd::new(StepOutcome::Pending, cause);
    }
    let minutes = engine.inner.timing.step.as_secs() / 60;
    let cause = format!("it did not end within {minutes} min; the host goes on with it");
    StepEnd {
        hints: vec![logs_hint(stored)],
        ..StepEnd::failed(cause)
    }
}

fn failed_on_host(cause: String, stored: &Stored) -> StepEnd {
    StepEnd {
        hints: vec![logs_hint(stored)],
        ..StepEnd::failed(cause)
    }
}

fn removed_meanwhile() -> StepEnd {
    StepEnd::failed("the host was removed from the fleet meanwhile")
}

fn logs_hint(stored: &Stored) -> String {
    format!("`foundry events` tells what led to it on {}", stored.name)
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

/// Passes on what hosts tell about the steps of a run while they are at it.
pub(super) async fn pass_progress(
    engine: Engine,
    active: std::sync::Arc<Active>,
    done: CancellationToken,
) {
    let mut events = engine.inner.listener.subscribe();
    let ours = active.journal.step_ids();
    loop {
        let event = tokio::select! {
            () = done.cancelled() => return,
            event = events.recv() => event,
        };
        let (host, assignment, task, text) = match event {
            Ok(HubEvent::Progress { host, progress }) => {
                (host, progress.assignment, progress.task, progress.text)
            }
            Ok(HubEvent::Event { host, event }) => {
                let Some(event::Body::Task(result)) = event.body else {
                    continue;
                };
                let text = if result.changed {
                    "changed"
                } else {
                    "unchanged"
                };
                let text = if result.error.is_empty() {
                    text.to_owned()
                } else {
                    result.error
                };
                (host, event.assignment, result.task, text)
            }
            Ok(_) | Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        let Some(hostname) = engine
            .inner
            .core
            .view
            .read(host, |host| host.row.hostname.clone())
        else {
            continue;
        };
        let step = format!("{hostname}/{assignment}");
        if ours.contains(&step) {
            let progress = StepProgress {
                step,
                host: hostname,
                assignment,
                task,
                text,
            };
            active.journal.progress(progress);
        }
    }
}
