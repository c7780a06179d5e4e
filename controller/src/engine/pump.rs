//! One task takes what the hub tells into the view, and passes it on to whoever waits for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foundry_proto::HostId;
use foundry_proto::agent::v1::{DriftReport, HealthReport, Refusal};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::clock::now_ms;
use super::core::Core;
use crate::hub::{Disconnect, HubEvent};

/// A peer that is refused again and again is written down once in this time.
const REFUSED_AGAIN: Duration = Duration::from_secs(600);
/// Refused peers that are remembered.
const REFUSED: usize = 1024;

/// Runs until `stop`, or until the hub has ended.
pub(super) async fn run(
    core: Arc<Core>,
    mut hub: broadcast::Receiver<HubEvent>,
    out: broadcast::Sender<HubEvent>,
    stop: CancellationToken,
) {
    let mut refused = HashMap::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            event = hub.recv() => match event {
                Ok(event) => {
                    take(&core, &event, &mut refused).await;
                    // Nobody may be waiting.
                    let _ = out.send(event);
                }
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "reports of hosts came faster than they were read");
                }
                Err(RecvError::Closed) => break,
            },
        }
    }
}

async fn take(core: &Core, event: &HubEvent, refused: &mut HashMap<(String, i32), Instant>) {
    match event {
        HubEvent::Health { host, report } => health(core, *host, report).await,
        HubEvent::Drift { host, report } => drift(core, *host, report).await,
        HubEvent::Disconnected { host, reason } => {
            let name = core.view.update(*host, |view| {
                view.gone(now_ms());
                view.row.hostname.clone()
            });
            if let Some(name) = name {
                core.note(&name, "disconnected", reason_text(reason)).await;
            }
        }
        HubEvent::Refused {
            identity,
            address,
            reason,
        } => {
            let key = (identity.clone(), i32::from(*reason));
            let now = Instant::now();
            let again = refused
                .get(&key)
                .is_some_and(|last| now - *last < REFUSED_AGAIN);
            if again || refused.len() >= REFUSED {
                refused.retain(|_, last| now - *last < REFUSED_AGAIN);
                return;
            }
            refused.insert(key, now);
            let from = address.map_or_else(|| "a bridge".to_owned(), |address| address.to_string());
            let why = refusal_text(*reason);
            core.note("", "refused", format!("{identity} from {from}: {why}"))
                .await;
        }
        // The end of an earlier session may have been taken in after this one had begun.
        HubEvent::Connected { host, .. } => {
            core.view
                .update(*host, |view| *view.connected_ms.get_or_insert_with(now_ms));
        }
        // Taken in by the backend, before it was acknowledged.
        HubEvent::Event { .. } => {}
        HubEvent::Progress { .. } | HubEvent::JobOutput { .. } => {}
    }
}

async fn health(core: &Core, host: HostId, report: &HealthReport) {
    let turn = core.view.update(host, |view| {
        let turn = view.health(report, now_ms());
        turn.map(|turn| (turn, view.row.hostname.clone()))
    });
    let Some((turn, hostname)) = turn.flatten() else {
        return;
    };
    core.view.mark(host, [turn.name.clone()], false);
    if turn.turned {
        let health = report.health.clone().unwrap_or_default();
        let word = if health.healthy {
            "healthy"
        } else {
            "unhealthy"
        };
        let text = match health.message.as_str() {
            "" => format!("{}: {word}", turn.name),
            message => format!("{}: {word}: {message}", turn.name),
        };
        core.note(&hostname, "health", text).await;
    }
}

async fn drift(core: &Core, host: HostId, report: &DriftReport) {
    let news = core.view.update(host, |view| {
        let name = view.drift(report)?;
        Some((name, view.row.hostname.clone()))
    });
    let Some((name, hostname)) = news.flatten() else {
        return;
    };
    core.view.mark(host, [name.clone()], false);
    let text = match report.diffs.as_slice() {
        [] => format!("{name}: as it should be again"),
        diffs => {
            let diffs: Vec<_> = diffs
                .iter()
                .map(|diff| format!("{}: {}", diff.task, diff.diff))
                .collect();
            format!("{name}: changed by hand: {}", diffs.join("; "))
        }
    };
    core.note(&hostname, "drift", text).await;
}

fn reason_text(reason: &Disconnect) -> String {
    match reason {
        Disconnect::Closed => "the connection ended".to_owned(),
        Disconnect::Silent => "nothing was heard of it".to_owned(),
        Disconnect::Replaced => "it opened a newer session".to_owned(),
        Disconnect::Cut(refusal) => format!("cut: {}", refusal_text(*refusal)),
        Disconnect::Protocol(what) => format!("it broke the protocol: {what}"),
        Disconnect::NotStored => "what it told could not be stored".to_owned(),
        Disconnect::Stopping => "the controller stopped".to_owned(),
    }
}

fn refusal_text(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Removed => "it was removed from the fleet",
        Refusal::OldEpoch => "its certificate is of an earlier enrolment",
        Refusal::UnknownKey => "its key is not admitted",
        Refusal::Duplicate => "two machines use this identity",
        Refusal::Protocol => "it speaks another protocol",
        Refusal::NotAHost => "its certificate is not one of a host of this fleet",
        Refusal::Busy => "too much is under way",
        Refusal::Unspecified => "no reason given",
    }
}
