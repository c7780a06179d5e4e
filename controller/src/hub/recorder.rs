//! Group commit: the events of all sessions are stored together, then acknowledged, then published.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use foundry_proto::HostId;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::backend::{Backend, BackendError, HostEvent};
use super::error::chain;
use super::event::{Disconnect, HubEvent};
use super::handle::Shared;

/// The most that is stored at once; and what waits for it.
const GROUP: usize = 1024;

/// A write that takes longer has failed.
const DEADLINE: Duration = Duration::from_secs(30);

/// Between attempts while nothing can be stored.
const RETRY: Duration = Duration::from_millis(500);

/// What sessions hand to the recorder.
pub(super) enum Entry {
    /// An event, and the session that it is to be acknowledged on.
    Event(HostEvent, Arc<Shared>),
    /// Answered once everything handed in before is stored, or given up.
    Barrier(oneshot::Sender<()>),
}

/// The recorder's end of the sessions' events.
pub(super) struct Recorder {
    entries: mpsc::Receiver<Entry>,
    backend: Arc<dyn Backend>,
    published: broadcast::Sender<HubEvent>,
}

// === impl Recorder ===

impl Recorder {
    pub(super) fn new(
        backend: Arc<dyn Backend>,
        published: broadcast::Sender<HubEvent>,
    ) -> (Self, mpsc::Sender<Entry>) {
        let (sender, entries) = mpsc::channel(GROUP);
        (
            Self {
                entries,
                backend,
                published,
            },
            sender,
        )
    }

    /// Runs until `stop`; what was handed in by then is stored.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut group = Vec::new();
        loop {
            tokio::select! {
                got = self.entries.recv_many(&mut group, GROUP) => if got == 0 { return },
                () = stop.cancelled(), if !self.entries.is_closed() => self.entries.close(),
            }
            let (mut batch, mut sessions, mut barriers) = (Vec::new(), Vec::new(), Vec::new());
            for entry in group.drain(..) {
                match entry {
                    Entry::Event(event, session) => {
                        batch.push(event);
                        sessions.push(session);
                    }
                    Entry::Barrier(passed) => barriers.push(passed),
                }
            }
            if !batch.is_empty() {
                self.store(batch, sessions).await;
            }
            for passed in barriers {
                let _ = passed.send(());
            }
        }
    }

    /// Stores the batch. A host whose events alone cannot be stored is given up, so that it holds up no other: its session
    /// ends, and it sends them again.
    async fn store(&self, mut batch: Vec<HostEvent>, mut sessions: Vec<Arc<Shared>>) {
        loop {
            let Err(error) = self.record(&batch).await else {
                self.publish(batch, sessions);
                return;
            };
            tracing::warn!(events = batch.len(), cause = %chain(&error), "events cannot be stored");
            let hosts: HashSet<HostId> = batch.iter().map(|event| event.host).collect();
            let mut failed = HashSet::new();
            if hosts.len() > 1 {
                for host in &hosts {
                    let own: Vec<usize> = (0..batch.len())
                        .filter(|index| batch[*index].host == *host)
                        .collect();
                    let events: Vec<HostEvent> =
                        own.iter().map(|index| batch[*index].clone()).collect();
                    if self.record(&events).await.is_ok() {
                        self.publish(events, own.iter().map(|at| sessions[*at].clone()).collect());
                    } else {
                        failed.insert(*host);
                    }
                }
                let all_failed = failed.len() == hosts.len();
                let mut left = Vec::new();
                for (event, session) in batch.into_iter().zip(sessions) {
                    if all_failed {
                        left.push((event, session));
                    } else if failed.contains(&event.host) {
                        session.end(Disconnect::NotStored);
                    }
                }
                (batch, sessions) = left.into_iter().unzip();
                if batch.is_empty() {
                    return;
                }
            }
            if sessions.iter().all(|session| session.is_ended()) {
                // Nobody waits for an acknowledgement any more; the agents send them again.
                return;
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn record(&self, batch: &[HostEvent]) -> Result<(), BackendError> {
        tokio::time::timeout(DEADLINE, self.backend.record(batch))
            .await
            .unwrap_or_else(|late| Err(BackendError::new("store events in time", late)))
    }

    fn publish(&self, batch: Vec<HostEvent>, sessions: Vec<Arc<Shared>>) {
        for (HostEvent { host, event, .. }, session) in batch.into_iter().zip(sessions) {
            session.recorded(event.number);
            // Nobody listening is no failure.
            let _ = self.published.send(HubEvent::Event { host, event });
        }
    }
}
