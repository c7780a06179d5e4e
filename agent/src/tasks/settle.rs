//! Whether a unit that was started goes on running.
//!
//! systemd calls a start done when the process was executed. Here it is done when the unit has run since then, without a
//! restart, until its health check passes, or for a while where it has none.

use std::time::Duration;

use foundry_host::systemd::{ActiveState, JobResult, UnitState, UnitVerb};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tokio::time::Instant;

use super::{Context, TaskError};
use crate::health::Check;

/// How long a unit without a health check must run.
const STEADY: Duration = Duration::from_secs(10);

/// From one probe to the next while a unit starts.
const EAGER: Duration = Duration::from_millis(100);

/// How many lines of the journal go with a failure.
const JOURNAL_LINES: u32 = 10;

/// How long a start may take where the task does not say.
pub(super) const START_LIMIT: Duration = Duration::from_secs(90);

/// A start, and what makes it a success.
pub(super) struct Start<'a> {
    /// The task, for its progress.
    pub(super) task: &'a str,
    /// The unit.
    pub(super) unit: &'a str,
    /// What tells that it does its work.
    pub(super) check: Option<&'a Check>,
    /// How long systemd's job may take.
    pub(super) limit: Duration,
    /// What is awaited before the first probe.
    pub(super) before_probe: Option<BoxFuture<'a, ()>>,
}

/// Starts the unit, anew where it runs, and waits until it is sure to run.
pub(super) async fn start(cx: &Context, start: Start<'_>) -> Result<(), TaskError> {
    let systemd = &cx.host.systemd;
    let changes = systemd.watch(start.unit).await?;
    let before = systemd.state(start.unit).await?;
    systemd.reset_failed(start.unit).await?;
    let verb = match before.active {
        ActiveState::Inactive | ActiveState::Failed => UnitVerb::Start,
        // One that waits for its restart refuses to be started.
        ActiveState::Activating
        | ActiveState::Active
        | ActiveState::Reloading
        | ActiveState::Deactivating
        | ActiveState::Unknown => UnitVerb::Restart,
    };
    cx.progress
        .say(start.task, format!("{verb} {}", start.unit));
    let job = tokio::select! {
        job = systemd.run(verb, start.unit, start.limit) => job?,
        () = cx.cancel.cancelled() => return Err(TaskError::Cancelled),
    };
    let state = systemd.state(start.unit).await?;
    // Each start by hand sets the count of restarts back.
    if job != JobResult::Done || !state.is_active() || state.restarts > 0 {
        return Err(failed(cx, start.unit, &state, &job).await);
    }
    cx.progress
        .say(start.task, format!("waiting for {} to settle", start.unit));
    settle(
        cx,
        start.unit,
        start.check,
        start.before_probe,
        &state,
        changes,
    )
    .await
}

/// Waits until a unit that runs already is sure to go on: it may have been started by an attempt that was cut off, or that
/// failed.
pub(super) async fn confirm(
    cx: &Context,
    unit: &str,
    check: Option<&Check>,
) -> Result<(), TaskError> {
    let changes = cx.host.systemd.watch(unit).await?;
    let state = cx.host.systemd.state(unit).await?;
    if !state.is_active() {
        return Err(failed(cx, unit, &state, &JobResult::Done).await);
    }
    settle(cx, unit, check, None, &state, changes).await
}

/// Waits for the health check, or for a while, and for any sign of failure; `since` is the unit's state at the beginning.
async fn settle(
    cx: &Context,
    unit: &str,
    check: Option<&Check>,
    before_probe: Option<BoxFuture<'_, ()>>,
    since: &UnitState,
    changes: BoxStream<'static, UnitState>,
) -> Result<(), TaskError> {
    let goes_on = |state: &UnitState| state.is_active() && state.restarts == since.restarts;
    let well = async {
        match check {
            Some(check) => passes(cx, check, before_probe).await,
            None => {
                tokio::time::sleep(unsteady(cx, unit, since)).await;
                Ok(())
            }
        }
    };
    let well = tokio::select! {
        biased;
        () = cx.cancel.cancelled() => return Err(TaskError::Cancelled),
        state = first(changes, |state| !goes_on(state)) => {
            return Err(failed(cx, unit, &state, &JobResult::Done).await);
        }
        well = well => well,
    };
    // A change that came without a signal.
    let state = cx.host.systemd.state(unit).await?;
    if !goes_on(&state) {
        return Err(failed(cx, unit, &state, &JobResult::Done).await);
    }
    match well {
        Ok(()) => Ok(()),
        Err((cause, limit)) => {
            let lines = journal(cx, unit).await;
            Err(TaskError::Unhealthy {
                unit: unit.to_owned(),
                limit,
                cause,
                lines,
            })
        }
    }
}

/// The first state for which this holds. Where the bus is lost it never comes: what the last look says must do.
async fn first(
    mut changes: BoxStream<'static, UnitState>,
    holds: impl Fn(&UnitState) -> bool,
) -> UnitState {
    while let Some(state) = changes.next().await {
        if holds(&state) {
            return state;
        }
    }
    std::future::pending().await
}

/// How much longer the unit has to run to be sure of it. Only services run: a timer or a mount is there at once.
fn unsteady(cx: &Context, unit: &str, state: &UnitState) -> Duration {
    if !unit.ends_with(".service") {
        return Duration::ZERO;
    }
    let age = cx.host.clock.monotonic().saturating_sub(state.started);
    STEADY.saturating_sub(age)
}

/// Probes until it passes, or its time is over: then with what was said last.
async fn passes(
    cx: &Context,
    check: &Check,
    before: Option<BoxFuture<'_, ()>>,
) -> Result<(), (String, Duration)> {
    let end = Instant::now() + check.start_period;
    if let Some(before) = before {
        // Late is no failure: the probe says what is wrong.
        let _ = tokio::time::timeout_at(end, before).await;
    }
    loop {
        let Err(cause) = check.ask(cx.host.exec.as_ref()).await else {
            return Ok(());
        };
        if Instant::now() >= end {
            return Err((cause, check.start_period));
        }
        tokio::time::sleep(EAGER).await;
    }
}

/// What is wrong with the unit, with its last words.
async fn failed(cx: &Context, unit: &str, state: &UnitState, job: &JobResult) -> TaskError {
    let mut described = state.describe();
    if state.restarts > 0 {
        described = format!("{described}, restarted {} times", state.restarts);
    }
    if let JobResult::Other(result) = job {
        described = format!("{described} (job {result})");
    }
    TaskError::Unit {
        unit: unit.to_owned(),
        state: described,
        lines: journal(cx, unit).await,
    }
}

/// The last lines of the unit's journal; none where it cannot be read.
async fn journal(cx: &Context, unit: &str) -> Vec<String> {
    cx.host
        .systemd
        .journal(unit, JOURNAL_LINES)
        .await
        .unwrap_or_default()
}
