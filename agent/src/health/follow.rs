//! Following one unit: its changes on the bus, and its probe.

use std::time::Duration;

use foundry_host::systemd::{SystemdError, UnitState};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use super::Verdict;
use super::targets::Target;
use crate::tasks::Context;

/// From one look to the next at a unit that has no probe: its changes come by themselves.
const UNPROBED: Duration = Duration::from_secs(60);

/// How long a unit must have run after a restart of its own to be called well again.
const STEADY: Duration = Duration::from_secs(30);

/// Until the bus is tried again when it was lost.
const RECONNECT: Duration = Duration::from_secs(5);

/// How many lines of the journal are read for the last one that says something.
const JOURNAL_LINES: u32 = 5;

/// Judges the unit at each of its changes and at each probe, until `say` answers that nobody listens.
pub(super) async fn follow<F: Future<Output = bool>>(
    cx: &Context,
    target: &Target,
    say: impl Fn(Verdict) -> F,
) {
    loop {
        match cx.host.systemd.watch(&target.unit).await {
            Ok(changes) => {
                if follow_changes(cx, target, changes, &say).await.is_break() {
                    return;
                }
            }
            Err(error) => {
                if !say(Err(unknown(&error))).await {
                    return;
                }
            }
        }
        tokio::time::sleep(RECONNECT).await;
    }
}

/// Goes on until the bus is lost, or nobody listens (a break).
async fn follow_changes<F: Future<Output = bool>>(
    cx: &Context,
    target: &Target,
    mut changes: BoxStream<'static, UnitState>,
    say: &impl Fn(Verdict) -> F,
) -> std::ops::ControlFlow<()> {
    use std::ops::ControlFlow::{Break, Continue};
    loop {
        let verdict = tokio::select! {
            biased;
            change = changes.next() => match change {
                // What was being asked is old.
                Some(_) => continue,
                None => return Continue(()),
            },
            verdict = judge(cx, target) => verdict,
        };
        if !say(verdict).await {
            return Break(());
        }
        let pause = target
            .check
            .as_ref()
            .map_or(UNPROBED, |check| check.interval);
        tokio::select! {
            change = changes.next() => if change.is_none() { return Continue(()) },
            () = tokio::time::sleep(pause.min(STEADY)) => {}
        }
    }
}

/// Whether the unit is well now.
async fn judge(cx: &Context, target: &Target) -> Verdict {
    let state = cx
        .host
        .systemd
        .state(&target.unit)
        .await
        .map_err(|error| unknown(&error))?;
    if !state.is_active() {
        return Err(with_last_line(cx, target, state.describe()).await);
    }
    let age = cx.host.clock.monotonic().saturating_sub(state.started);
    if state.restarts > 0 && age < STEADY {
        let what = format!(
            "restarted {} times, last {} s ago",
            state.restarts,
            age.as_secs()
        );
        return Err(with_last_line(cx, target, what).await);
    }
    match &target.check {
        Some(check) => check.ask(cx.host.exec.as_ref()).await.map_err(|cause| {
            if age < check.start_period {
                format!("starting: {cause}")
            } else {
                cause
            }
        }),
        None => Ok(()),
    }
}

async fn with_last_line(cx: &Context, target: &Target, what: String) -> String {
    let lines = cx
        .host
        .systemd
        .journal(&target.unit, JOURNAL_LINES)
        .await
        .unwrap_or_default();
    match lines.last() {
        Some(line) => format!("{what}: {line}"),
        None => what,
    }
}

fn unknown(error: &SystemdError) -> String {
    format!("cannot be watched: {error}")
}
