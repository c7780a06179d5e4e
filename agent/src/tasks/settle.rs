//! Whether a unit that was started goes on running.
//!
//! systemd calls a start done when the process was executed. Here it is done when the unit has run since then, without a
//! restart, until its health check passes, or for a while where it has none.

use std::time::Duration;

use foundry_host::systemd::{ActiveState, JobResult, UnitState, UnitVerb};
use futures_util::StreamExt;
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
}

/// Starts the unit, anew where it runs, and waits until it is sure to run.
pub(super) async fn start(cx: &Context, start: &Start<'_>) -> Result<(), TaskError> {
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
    if job != JobResult::Done || !runs(&state) {
        return Err(failed(cx, start.unit, &state, &job).await);
    }
    if !start.unit.ends_with(".service") {
        return Ok(());
    }
    cx.progress
        .say(start.task, format!("waiting for {} to settle", start.unit));
    tokio::select! {
        settled = settle(cx, start, changes) => settled,
        () = cx.cancel.cancelled() => Err(TaskError::Cancelled),
    }
}

/// Waits for the health check, or for a while, and for any sign of failure.
async fn settle(
    cx: &Context,
    start: &Start<'_>,
    mut changes: BoxStream<'static, UnitState>,
) -> Result<(), TaskError> {
    let broken = async {
        while let Some(state) = changes.next().await {
            if !runs(&state) {
                return state;
            }
        }
        // The bus is gone: what the last look says must do.
        std::future::pending().await
    };
    let well = async {
        match start.check {
            Some(check) => passes(cx, check).await,
            None => {
                tokio::time::sleep(STEADY).await;
                Ok(())
            }
        }
    };
    tokio::select! {
        biased;
        state = broken => Err(failed(cx, start.unit, &state, &JobResult::Done).await),
        well = well => {
            // A change that came without a signal.
            let state = cx.host.systemd.state(start.unit).await?;
            if !runs(&state) {
                return Err(failed(cx, start.unit, &state, &JobResult::Done).await);
            }
            match well {
                Ok(()) => Ok(()),
                Err((cause, limit)) => {
                    let lines = journal(cx, start.unit).await;
                    Err(TaskError::Unhealthy { unit: start.unit.to_owned(), limit, cause, lines })
                }
            }
        }
    }
}

/// Probes until it passes, or its time is over: then with what was said last.
async fn passes(cx: &Context, check: &Check) -> Result<(), (String, Duration)> {
    let end = Instant::now() + check.start_period;
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

/// Whether the unit runs since it was started by hand: each such start sets the count of restarts back.
fn runs(state: &UnitState) -> bool {
    state.is_active() && state.restarts == 0
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
