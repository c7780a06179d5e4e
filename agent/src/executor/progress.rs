//! How far the parts of the agent have come: a wedged one shows though the connection lives.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use foundry_proto::agent::v1::Subsystem;

/// A part of the agent that works piece by piece.
pub(crate) struct Activity {
    name: &'static str,
    done: AtomicU64,
    /// The pieces at work, each with its begin on CLOCK_MONOTONIC.
    working: Mutex<BTreeMap<u64, Duration>>,
    next: AtomicU64,
}

/// A piece of work; it is done when this is dropped.
pub(crate) struct Piece<'a> {
    of: &'a Activity,
    id: u64,
}

// === impl Activity ===

impl Activity {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            done: AtomicU64::new(0),
            working: Mutex::default(),
            next: AtomicU64::new(0),
        }
    }

    /// A piece of work begins.
    pub(crate) fn begin(&self, now: Duration) -> Piece<'_> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.working
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, now);
        Piece { of: self, id }
    }

    /// A piece of work that took no time.
    pub(crate) fn tick(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// As a heartbeat says it: busy for as long as the oldest piece.
    pub(crate) fn subsystem(&self, now: Duration) -> Subsystem {
        let working = self.working.lock().unwrap_or_else(PoisonError::into_inner);
        let busy = working
            .values()
            .min()
            .map(|begun| now.saturating_sub(*begun).as_millis());
        Subsystem {
            name: self.name.to_owned(),
            progress: self.done.load(Ordering::Relaxed),
            busy_ms: busy.map_or(0, |busy| u64::try_from(busy).unwrap_or(u64::MAX).max(1)),
        }
    }
}

// === impl Piece ===

impl Drop for Piece<'_> {
    fn drop(&mut self) {
        self.of
            .working
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
        self.of.tick();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Activity;

    #[test]
    fn busy_is_the_age_of_the_oldest_piece() {
        let activity = Activity::new("executor");
        let at = Duration::from_secs;
        let old = activity.begin(at(10));
        let young = activity.begin(at(15));
        assert_eq!(activity.subsystem(at(20)).busy_ms, 10_000);
        drop(old);
        assert_eq!(activity.subsystem(at(20)).busy_ms, 5_000);
        drop(young);
        let idle = activity.subsystem(at(20));
        assert_eq!((idle.busy_ms, idle.progress), (0, 2));
    }
}
