//! What hosts tell about the steps of a run while they are at it.

use std::sync::Arc;

use foundry_proto::agent::v1::event;
use foundry_proto::operator::v1::StepProgress;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::super::Engine;
use super::Active;
use crate::hub::HubEvent;

/// Passes it on to whoever watches the run, until `done`.
pub(super) async fn pass_on(engine: Engine, active: Arc<Active>, done: CancellationToken) {
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
