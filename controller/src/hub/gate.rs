//! Connections without an authenticated peer: how many there may be, shared fairly.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Admits connections until their handshake is over. Up to half of the room an address takes what it likes, beyond that
/// no more than an equal share; a full gate lets nobody wait inside, the kernel's backlog keeps them.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    room: usize,
    inside: Counts<IpAddr>,
    freed: Arc<Notify>,
}

/// How many there are of each key, given back when dropped.
#[derive(Debug)]
pub(super) struct Counts<K: Eq + Hash>(Arc<Mutex<HashMap<K, usize>>>);

/// One of a count.
#[derive(Debug)]
pub(super) struct Counted<K: Eq + Hash + Copy> {
    key: K,
    counts: Counts<K>,
}

/// A place inside the gate.
#[derive(Debug)]
pub(super) struct Ticket {
    freed: Arc<Notify>,
    counted: Option<Counted<IpAddr>>,
}

// === impl Gate ===

impl Gate {
    pub(super) fn new(room: usize) -> Self {
        Self {
            room: room.max(1),
            inside: Counts::default(),
            freed: Arc::default(),
        }
    }

    /// Waits until there is room for anybody.
    pub(super) async fn room(&self) {
        loop {
            let freed = self.freed.notified();
            if self.inside.total() < self.room {
                return;
            }
            freed.await;
        }
    }

    /// A place for a connection from this address; `None`: it has more than its share.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Ticket> {
        let room = self.room;
        let counted = self
            .inside
            .add_if(address.to_canonical(), |mine, total, addresses| {
                total < room && (total < room / 2 || mine < (room / addresses).max(1))
            })?;
        Some(Ticket {
            freed: Arc::clone(&self.freed),
            counted: Some(counted),
        })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.counted.take();
        self.freed.notify_waiters();
    }
}

// === impl Counts ===

impl<K: Eq + Hash> Default for Counts<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Eq + Hash> Clone for Counts<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Eq + Hash + Copy> Counts<K> {
    /// One more of this key, if there are fewer than `most`.
    pub(super) fn add(&self, key: K, most: usize) -> Option<Counted<K>> {
        self.add_if(key, |mine, _, _| mine < most)
    }

    /// One more of this key, if the rule allows: it is given how many there are of the key, of all keys, and how many keys
    /// there are with this one.
    fn add_if(&self, key: K, rule: impl FnOnce(usize, usize, usize) -> bool) -> Option<Counted<K>> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = counts.get(&key).copied().unwrap_or_default();
        let keys = counts.len() + usize::from(mine == 0);
        if !rule(mine, counts.values().sum(), keys) {
            return None;
        }
        counts.insert(key, mine + 1);
        Some(Counted {
            key,
            counts: self.clone(),
        })
    }

    fn total(&self) -> usize {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .sum()
    }
}

impl<K: Eq + Hash + Copy> Drop for Counted<K> {
    fn drop(&mut self) {
        let mut counts = self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::Gate;

    fn address(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    #[test]
    fn one_address_alone_may_fill_the_gate() {
        let gate = Gate::new(8);
        let tickets: Vec<_> = (0..8).map_while(|_| gate.enter(address(1))).collect();
        assert_eq!(tickets.len(), 8);
        assert!(gate.enter(address(2)).is_none());
        drop(tickets);
        assert!(gate.enter(address(2)).is_some());
    }

    #[test]
    fn beyond_half_a_flood_leaves_the_others_their_share() {
        let gate = Gate::new(8);
        let quiet = gate.enter(address(2)).expect("room");
        let flood: Vec<_> = (0..100).map_while(|_| gate.enter(address(1))).collect();
        assert_eq!(flood.len(), 4, "its share of eight places for two");
        assert!(gate.enter(address(3)).is_some());
        drop(quiet);
    }

    #[tokio::test]
    async fn room_comes_back_with_the_ticket() {
        let gate = Gate::new(1);
        let ticket = gate.enter(address(1));
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.room().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(ticket);
        waiting.await.unwrap();
    }
}
