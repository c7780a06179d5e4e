//! Group commit: the events of all sessions are stored together, then acknowledged, then published.
//!
//! While nothing can be stored, what arrives gathers, up to a bound, and is tried again. A host whose events alone cannot be
//! stored is given up: its session ends, and it sends them again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use foundry_proto::HostId;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backend::{Backend, BackendError, HostEvent};
use super::error::chain;
use super::event::{Disconnect, HubEvent};
use super::handle::Shared;

/// The most that is stored at once; as much again waits in the channel.
const GROUP: usize = 1024;

/// A write that takes longer has failed.
const DEADLINE: Duration = Duration::from_secs(30);

/// Between attempts while something cannot be stored.
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
    /// What is not stored yet, in the order in which it came.
    waiting: Vec<Waiting>,
    barriers: Vec<(u64, oneshot::Sender<()>)>,
    count: u64,
}

struct Waiting {
    place: u64,
    event: HostEvent,
    session: Arc<Shared>,
}

// === impl Recorder ===

impl Recorder {
    pub(super) fn new(
        backend: Arc<dyn Backend>,
        published: broadcast::Sender<HubEvent>,
    ) -> (Self, mpsc::Sender<Entry>) {
        let (sender, entries) = mpsc::channel(GROUP);
        let (waiting, barriers, count) = (Vec::new(), Vec::new(), 0);
        (
            Self {
                entries,
                backend,
                published,
                waiting,
                barriers,
                count,
            },
            sender,
        )
    }

    /// Runs until `stop`; what was handed in by then is stored, if it can be.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut arrived = Vec::new();
        let mut retry: Option<Instant> = None;
        let mut open = true;
        while open || !self.waiting.is_empty() {
            let room = GROUP - self.waiting.len();
            tokio::select! {
                biased;
                () = until(retry) => retry = None,
                got = self.entries.recv_many(&mut arrived, room), if open && room > 0 => {
                    open = got > 0;
                    self.take_in(&mut arrived);
                }
                () = stop.cancelled(), if !self.entries.is_closed() => self.entries.close(),
            }
            if retry.is_none() && !self.store().await {
                retry = Some(Instant::now() + RETRY);
            }
            self.answer_barriers();
        }
    }

    fn take_in(&mut self, arrived: &mut Vec<Entry>) {
        for entry in arrived.drain(..) {
            let place = self.count;
            self.count += 1;
            match entry {
                Entry::Event(event, session) => {
                    self.waiting.push(Waiting {
                        place,
                        event,
                        session,
                    });
                }
                Entry::Barrier(passed) => self.barriers.push((place, passed)),
            }
        }
    }

    /// Everything that came before a barrier was settled: its session may go on.
    fn answer_barriers(&mut self) {
        let settled = self
            .waiting
            .first()
            .map_or(u64::MAX, |waiting| waiting.place);
        for (_, passed) in self.barriers.extract_if(.., |(place, _)| *place < settled) {
            let _ = passed.send(());
        }
    }

    /// Stores what waits. `false`: some of it waits on.
    async fn store(&mut self) -> bool {
        let waiting = std::mem::take(&mut self.waiting);
        let Err((error, waiting)) = self.record(waiting).await else {
            return true;
        };
        tracing::warn!(events = waiting.len(), cause = %chain(&error), "events cannot be stored");
        let hosts: BTreeSet<HostId> = waiting.iter().map(|waiting| waiting.event.host).collect();
        if hosts.len() > 1 {
            self.store_apart(waiting, hosts.len()).await;
        } else if waiting.len() >= GROUP {
            give_up(waiting);
        } else {
            self.waiting = waiting;
        }
        // Of a session that has ended nobody waits for an acknowledgement; the agent sends the events again.
        self.waiting.retain(|waiting| !waiting.session.is_ended());
        self.waiting.is_empty()
    }

    /// Each host's events by themselves: where only some cannot be stored, it is not the store's fault.
    async fn store_apart(&mut self, mut waiting: Vec<Waiting>, hosts: usize) {
        let mut failed = Vec::new();
        while let Some(host) = waiting.first().map(|waiting| waiting.event.host) {
            let (own, others) = waiting.into_iter().partition(|one| one.event.host == host);
            waiting = others;
            if let Err((_, own)) = self.record(own).await {
                failed.push(own);
            }
        }
        if failed.len() < hosts {
            failed.into_iter().for_each(give_up);
        } else {
            self.waiting = failed.into_iter().flatten().collect();
            self.waiting.sort_by_key(|waiting| waiting.place);
        }
    }

    /// Stores, acknowledges and publishes these events, or gives them back.
    async fn record(&self, waiting: Vec<Waiting>) -> Result<(), (BackendError, Vec<Waiting>)> {
        if waiting.is_empty() {
            return Ok(());
        }
        let batch: Vec<HostEvent> = waiting
            .iter()
            .map(|waiting| waiting.event.clone())
            .collect();
        let stored = tokio::time::timeout(DEADLINE, self.backend.record(&batch)).await;
        let late = |late| Err(BackendError::new("store events in time", late));
        if let Err(error) = stored.unwrap_or_else(late) {
            return Err((error, waiting));
        }
        for Waiting {
            event: HostEvent { host, event, .. },
            session,
            ..
        } in waiting
        {
            session.recorded(event.number);
            // Nobody listening is no failure.
            let _ = self.published.send(HubEvent::Event { host, event });
        }
        Ok(())
    }
}

fn give_up(waiting: Vec<Waiting>) {
    waiting
        .iter()
        .for_each(|waiting| waiting.session.end(Disconnect::NotStored));
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
