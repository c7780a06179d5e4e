//! Sending a revision to its host, and waiting for how it ends there.

use std::time::Duration;

use foundry_proto::AssignmentName;
use foundry_proto::agent::v1::Phase;
use foundry_proto::operator::v1::StepOutcome;
use tokio::time::{Instant, sleep_until};

use super::super::Engine;
use super::super::view::HostView;
use super::Active;
use super::apply::Stored;
use super::step::StepEnd;
use crate::hub::SessionError;

/// A host that has no session when its step begins is waited for so long.
const PATIENCE: Duration = Duration::from_secs(2);
/// After a send that failed the next try waits so long at most.
const SEND_AGAIN: Duration = Duration::from_millis(200);

/// What the host says of a revision.
enum Verdict {
    Waiting,
    Done { changed: bool },
    Failed(String),
}

/// Sends it, and waits for how it ends.
pub(super) async fn settle(
    engine: &Engine,
    active: &Active,
    stored: &Stored,
    deadline: Instant,
) -> StepEnd {
    let Stored {
        host, name, assign, ..
    } = stored;
    let inner = &engine.inner;
    let Some(mut news) = inner.core.view.watch(*host) else {
        return removed_meanwhile();
    };
    let mut sent_over = None;
    let mut away_until = None;
    let mut send_again = None;
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
            let patience = match sent_over {
                Some(_) => inner.timing.away,
                None if inner.listener.may_return(*host) => PATIENCE,
                None => Duration::ZERO,
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
                // Its session is about to be replaced, or the wait ends.
                Err(
                    SessionError::NotConnected(_)
                    | SessionError::Disconnected(_)
                    | SessionError::Timeout { .. }
                    | SessionError::Busy(_),
                ) => send_again = Some(Instant::now() + SEND_AGAIN),
            }
        }
        let until = away_until.unwrap_or(deadline);
        if Instant::now() >= until {
            return out_of_time(engine, stored, away_until.is_some());
        }
        let look_again = send_again.take().map_or(until, |again| until.min(again));
        tokio::select! {
            _ = news.changed() => {}
            () = sleep_until(look_again) => {}
            () = active.leave.cancelled() => {
                if let Some(session) = inner.listener.session(*host) {
                    let _ = session.cancel(name.as_str(), assign.revision).await;
                }
                return StepEnd::new(StepOutcome::Cancelled, "the run was cancelled in the middle of it");
            }
        }
    }
}

/// What the host says of this revision.
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

fn out_of_time(engine: &Engine, stored: &Stored, away: bool) -> StepEnd {
    if away {
        let cause = "the host is away: it is kept for it, and delivered when it returns";
        return StepEnd::new(StepOutcome::Pending, cause);
    }
    let minutes = engine.inner.timing.step.as_secs() / 60;
    let cause = format!("it did not end within {minutes} min; the host goes on with it");
    StepEnd {
        hints: vec![events_hint(stored)],
        ..StepEnd::failed(cause)
    }
}

fn failed_on_host(cause: String, stored: &Stored) -> StepEnd {
    StepEnd {
        hints: vec![events_hint(stored)],
        ..StepEnd::failed(cause)
    }
}

pub(super) fn removed_meanwhile() -> StepEnd {
    StepEnd::failed("the host was removed from the fleet meanwhile")
}

pub(super) fn events_hint(stored: &Stored) -> String {
    format!("`foundry events` tells what led to it on {}", stored.name)
}
