//! The fleet in memory: what is stored, and on top of it what the hosts say now.
//!
//! Everything that waits for a host (a run's steps, `status --watch`) waits on this: each host has a channel that ticks when
//! something about it changed, and there is one for the fleet. What came in and may be lost with the process (health, the
//! last sign of life) is marked, and written in one batch now and then; the rest is written before it is acknowledged.

mod host;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use foundry_proto::agent::v1::Phase;
use foundry_proto::{AssignmentName, HostId};
use tokio::sync::watch;

pub(crate) use host::{HostView, Order};

use crate::store::{Repositories, StoreError, Wanted, Write};

/// The hosts of the fleet.
#[derive(Default)]
pub(crate) struct View {
    hosts: RwLock<HashMap<HostId, Slot>>,
    /// Locked after `hosts` where both are.
    names: RwLock<HashMap<String, HostId>>,
    news: watch::Sender<u64>,
}

struct Slot {
    view: HostView,
    news: watch::Sender<u64>,
    /// Holdings that are not stored as they are here.
    unwritten: HashSet<AssignmentName>,
    /// The row is not stored as it is here.
    row_unwritten: bool,
}

// === impl View ===

impl View {
    /// The fleet as it is stored.
    pub(crate) async fn load(store: &Repositories) -> Result<Self, StoreError> {
        let view = Self::default();
        for (id, row, _) in store.hosts.list().await? {
            view.put_row(id, row);
        }
        for (id, seen_ms) in store.hosts.seen().await? {
            view.update(id, |host| host.seen_ms = seen_ms);
        }
        for (id, wanted) in store.assignments.all().await? {
            view.update(id, |host| host.order(&wanted));
        }
        for (id, name, holding) in store.holdings.all().await? {
            view.update(id, |host| host.holdings.insert(name, holding));
        }
        Ok(view)
    }

    /// A host was enrolled, or what is stored of it changed.
    pub(crate) fn put_row(&self, id: HostId, row: crate::store::HostRow) {
        let mut hosts = self.write();
        self.write_names().insert(row.hostname.clone(), id);
        let slot = hosts.entry(id).or_insert_with(|| Slot {
            view: HostView::default(),
            news: watch::Sender::new(0),
            unwritten: HashSet::new(),
            row_unwritten: false,
        });
        slot.view.row = row;
        slot.news.send_modify(|tick| *tick += 1);
        drop(hosts);
        self.news.send_modify(|tick| *tick += 1);
    }

    /// A host left the fleet.
    pub(crate) fn remove(&self, id: HostId) {
        if let Some(slot) = self.write().remove(&id) {
            self.write_names().remove(&slot.view.row.hostname);
            slot.news.send_modify(|tick| *tick += 1);
        }
        self.news.send_modify(|tick| *tick += 1);
    }

    /// Changes what is known of a host, and tells those who wait. `None`: there is no such host.
    pub(crate) fn update<T>(
        &self,
        id: HostId,
        change: impl FnOnce(&mut HostView) -> T,
    ) -> Option<T> {
        let mut hosts = self.write();
        let slot = hosts.get_mut(&id)?;
        let result = change(&mut slot.view);
        slot.news.send_modify(|tick| *tick += 1);
        drop(hosts);
        self.news.send_modify(|tick| *tick += 1);
        Some(result)
    }

    /// It was heard at that time. Told to nobody: only its age is another one.
    pub(crate) fn heard(&self, id: HostId, at_ms: u64) {
        if let Some(slot) = self.write().get_mut(&id) {
            slot.view.heard(at_ms);
        }
    }

    /// Looks at a host.
    pub(crate) fn read<T>(&self, id: HostId, look: impl FnOnce(&HostView) -> T) -> Option<T> {
        self.read_all().get(&id).map(|slot| look(&slot.view))
    }

    /// Whether the host has ended this revision, and not well: it makes no sense to send it again.
    pub(crate) fn is_over(&self, id: HostId, wanted: &Wanted) -> bool {
        let over = |host: &HostView| {
            host.endings.get(&wanted.name).is_some_and(|ending| {
                let well = matches!(ending.phase, Phase::Achieved | Phase::Removed);
                ending.revision == wanted.revision && !well
            })
        };
        self.read(id, over).unwrap_or_default()
    }

    /// Looks at all hosts.
    pub(crate) fn for_each(&self, mut look: impl FnMut(HostId, &HostView)) {
        for (id, slot) in self.read_all().iter() {
            look(*id, &slot.view);
        }
    }

    /// The host of this name.
    pub(crate) fn by_name(&self, hostname: &str) -> Option<HostId> {
        self.read_names().get(hostname).copied()
    }

    /// The hosts by name.
    pub(crate) fn names(&self) -> HashMap<String, HostId> {
        self.read_names().clone()
    }

    /// How many hosts there are.
    pub(crate) fn len(&self) -> usize {
        self.read_all().len()
    }

    /// Ticks when something about this host changes.
    pub(crate) fn watch(&self, id: HostId) -> Option<watch::Receiver<u64>> {
        self.read_all().get(&id).map(|slot| slot.news.subscribe())
    }

    /// Ticks when something about any host changes.
    pub(crate) fn watch_all(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// These holdings, and with `row` the host itself, are to be written when there is time.
    pub(crate) fn mark(
        &self,
        id: HostId,
        names: impl IntoIterator<Item = AssignmentName>,
        row: bool,
    ) {
        if let Some(slot) = self.write().get_mut(&id) {
            slot.unwritten.extend(names);
            slot.row_unwritten |= row;
        }
    }

    /// The changes that bring these holdings of a host to the store.
    pub(crate) fn writes(
        &self,
        store: &Repositories,
        id: HostId,
        names: &BTreeSet<AssignmentName>,
    ) -> Vec<Write> {
        let hosts = self.read_all();
        let Some(slot) = hosts.get(&id) else {
            return Vec::new();
        };
        names
            .iter()
            .map(|name| writing(store, id, &slot.view, name))
            .collect()
    }

    /// Everything that is marked, as changes, and the hosts whose rows are; the marks are gone.
    pub(crate) fn take_unwritten(&self, store: &Repositories) -> (Vec<Write>, Vec<HostId>) {
        let (mut batch, mut rows) = (Vec::new(), Vec::new());
        for (id, slot) in self.write().iter_mut() {
            for name in std::mem::take(&mut slot.unwritten) {
                batch.push(writing(store, *id, &slot.view, &name));
            }
            if std::mem::take(&mut slot.row_unwritten) {
                rows.push(*id);
            }
        }
        (batch, rows)
    }

    fn read_names(&self) -> RwLockReadGuard<'_, HashMap<String, HostId>> {
        self.names.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_names(&self) -> RwLockWriteGuard<'_, HashMap<String, HostId>> {
        self.names.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_all(&self) -> RwLockReadGuard<'_, HashMap<HostId, Slot>> {
        self.hosts.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<HostId, Slot>> {
        self.hosts.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn writing(store: &Repositories, id: HostId, view: &HostView, name: &AssignmentName) -> Write {
    match view.holdings.get(name) {
        Some(holding) => store.holdings.putting(id, name, holding),
        None => store.holdings.deleting(id, name),
    }
}
