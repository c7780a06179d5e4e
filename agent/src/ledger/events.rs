//! The events that the controller has not acknowledged, in memory, in the order of their numbers.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foundry_proto::agent::v1::{Event, event::Body};
use tokio::sync::{Notify, watch};

use super::record::Pending;
use super::stamp::Stamp;

/// The most that wait in memory. Beyond it the oldest of those go that may be lost.
const MOST: usize = 4096;

/// Events that wait. The ledger puts them in, the session takes them out.
#[derive(Default)]
pub struct Unacknowledged {
    waiting: Mutex<BTreeMap<u64, Pending>>,
    more: Notify,
    forgotten: watch::Sender<u64>,
}

// === impl Unacknowledged ===

impl Unacknowledged {
    /// Events numbered above `after`, in order, at most `limit`.
    pub fn after(&self, after: u64, limit: usize, now: &Stamp) -> Vec<Event> {
        let waiting = self.lock();
        waiting
            .range(after.saturating_add(1)..)
            .take(limit)
            .map(|(_, p)| p.to_event(now))
            .collect()
    }

    /// Returns when something may have been added since the last call.
    pub async fn more(&self) {
        self.more.notified().await;
    }

    /// Returns when this event was acknowledged.
    pub async fn acknowledged(&self, number: u64) {
        // The sender lives as long as `self`.
        let _ = self
            .forgotten
            .subscribe()
            .wait_for(|through| *through >= number)
            .await;
    }

    pub(super) fn push(&self, pending: Pending) {
        let mut waiting = self.lock();
        if waiting.len() >= MOST {
            let lossy = |pending: &Pending| matches!(pending.event.body, Some(Body::Task(_)));
            let oldest = waiting
                .iter()
                .find(|(_, pending)| lossy(pending))
                .map(|(n, _)| *n);
            if let Some(number) = oldest {
                waiting.remove(&number);
            }
        }
        waiting.insert(pending.event.number, pending);
        drop(waiting);
        self.more.notify_one();
    }

    pub(super) fn forget(&self, through: u64) {
        let mut waiting = self.lock();
        *waiting = waiting.split_off(&through.saturating_add(1));
        drop(waiting);
        self.forgotten.send_replace(through);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Pending>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
