//! What happened in the fleet, and what happens.

use foundry_proto::operator::v1::{EventRecord, EventsRequest};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::Engine;
use super::error::EngineError;
use crate::store::{Change, Events, Log, StoreError};

/// Where a reader stands.
struct Reading {
    events: Events,
    hosts: Vec<String>,
    last: u64,
    found: std::vec::IntoIter<EventRecord>,
    changes: Option<broadcast::Receiver<Change>>,
    stop: CancellationToken,
}

impl Engine {
    /// Events of these hosts, oldest first; with `follow`, also those that come.
    pub async fn events(
        &self,
        request: EventsRequest,
    ) -> Result<BoxStream<'static, Result<EventRecord, EngineError>>, EngineError> {
        for host in &request.hosts {
            let known = self
                .inner
                .core
                .store
                .events
                .read(vec![host.clone()], 0, 1)
                .await?;
            if known.is_empty() {
                self.host(host)?;
            }
        }
        let store = &self.inner.core.store;
        // Watched before they are read: nothing falls in between.
        let changes = request.follow.then(|| store.watch());
        let events = store.events.clone();
        let found = events
            .read(request.hosts.clone(), request.after, request.most)
            .await?;
        let reading = Reading {
            events,
            hosts: request.hosts,
            last: request.after,
            found: found.into_iter(),
            changes,
            stop: self.inner.stop.clone(),
        };
        Ok(stream::unfold(reading, next).boxed())
    }
}

async fn next(mut reading: Reading) -> Option<(Result<EventRecord, EngineError>, Reading)> {
    loop {
        if let Some(event) = reading.found.next() {
            reading.last = reading.last.max(event.number);
            return Some((Ok(event), reading));
        }
        match reading.wait_for_more().await? {
            Ok(found) => reading.found = found.into_iter(),
            Err(error) => {
                reading.changes = None;
                return Some((Err(error.into()), reading));
            }
        }
    }
}

// === impl Reading ===

impl Reading {
    async fn wait_for_more(&mut self) -> Option<Result<Vec<EventRecord>, StoreError>> {
        let changes = self.changes.as_mut()?;
        loop {
            let change = tokio::select! {
                () = self.stop.cancelled() => return None,
                change = changes.recv() => change,
            };
            match change {
                Ok(Change::Appended(Log::Events, number)) if number > self.last => break,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return None,
            }
        }
        Some(self.events.read(self.hosts.clone(), self.last, 0).await)
    }
}
