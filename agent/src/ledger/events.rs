//! The events that the controller has not acknowledged, in memory, in the order of their numbers.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foundry_proto::agent::v1::{Event, event::Body};
use tokio::sync::{Notify, watch};

use super::record::Pending;
use super::stamp::Stamp;

/// The most that wait in memory. Beyond it the least important of the oldest go; outcomes never do.
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

    /// Whether there is room for the events of another order. A controller that acknowledges nothing gets nothing done.
    pub fn has_room(&self) -> bool {
        let waiting = self.lock();
        waiting.len() < MOST || waiting.values().any(|pending| loss(pending).is_some())
    }

    pub(super) fn push(&self, pending: Pending) {
        let mut waiting = self.lock();
        if waiting.len() >= MOST {
            let droppable = waiting
                .iter()
                .filter_map(|(number, p)| Some((loss(p)?, *number)));
            if let Some((_, number)) = droppable.min() {
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

/// What its loss would cost: less, sooner lost. `None`: it must not be.
fn loss(pending: &Pending) -> Option<u8> {
    match pending.event.body {
        Some(Body::Task(_)) | None => Some(0),
        Some(Body::Rejected(_)) => Some(1),
        Some(Body::Accepted(_)) => Some(2),
        Some(Body::Outcome(_) | Body::Job(_) | Body::Lost(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use foundry_proto::agent::v1::{Accepted, Event, Outcome, TaskResult, event::Body};

    use super::{MOST, Pending, Stamp, Unacknowledged};

    fn pending(number: u64, body: Body) -> Pending {
        let event = Event {
            number,
            body: Some(body),
            ..Event::default()
        };
        Pending {
            event,
            at: Stamp::default(),
        }
    }

    #[test]
    fn what_waits_is_bounded_and_outcomes_are_the_last_to_go() {
        let events = Unacknowledged::default();
        events.push(pending(1, Body::Accepted(Accepted {})));
        events.push(pending(2, Body::Task(TaskResult::default())));
        for number in 3..=MOST as u64 + 1 {
            events.push(pending(number, Body::Outcome(Outcome::default())));
        }
        let numbers = || -> Vec<_> {
            let all = events.after(0, usize::MAX, &Stamp::default());
            all.iter().map(|event| event.number).take(3).collect()
        };
        assert_eq!(numbers(), [1, 3, 4]);
        assert!(events.has_room());
        events.push(pending(MOST as u64 + 2, Body::Outcome(Outcome::default())));
        assert_eq!(numbers(), [3, 4, 5]);
        assert!(!events.has_room());
        events.forget(3);
        assert!(events.has_room());
    }
}
