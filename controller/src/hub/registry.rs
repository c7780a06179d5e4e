//! Which session is a host's live one, and hosts whose identity two machines use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foundry_link::session::controller::{Contest, PROBE, Start};
use foundry_proto::HostId;
use foundry_proto::agent::v1::Refusal;
use tokio::sync::{Notify, OwnedMutexGuard};
use tokio::time::Instant;

use super::event::Disconnect;
use super::handle::Shared;

/// A twin that was not seen for this long is gone: refused agents ask hourly.
const TWIN: Duration = Duration::from_secs(2 * 3600);

/// The live sessions. Clones are the same registry.
#[derive(Clone, Default)]
pub(super) struct Registry {
    hosts: Arc<Mutex<HashMap<HostId, Host>>>,
    changed: Arc<Notify>,
}

#[derive(Default)]
struct Host {
    /// Held while a session opens: one at a time.
    opening: Arc<tokio::sync::Mutex<()>>,
    living: Option<Arc<Shared>>,
    /// Boots that use this identity at the same time, each with when it was last seen.
    twins: HashMap<String, Instant>,
}

/// The right to open a session of a host: no other one lives or opens.
pub(super) struct Claim {
    _opening: OwnedMutexGuard<()>,
}

// === impl Registry ===

impl Registry {
    /// Makes way for a new session of the host, or says why the living one stays. What the older session handed to the
    /// recorder before was handed in when this returns.
    pub(super) async fn claim(&self, host: HostId, start: &Start) -> Result<Claim, Refusal> {
        let opening = self.with(host, |entry| Arc::clone(&entry.opening));
        let claim = Claim {
            _opening: opening.lock_owned().await,
        };
        if self.has_twin(host, start) {
            return Err(Refusal::Duplicate);
        }
        let Some(living) = self.with(host, |entry| entry.living.clone()) else {
            return Ok(claim);
        };
        match start.against(&Start::of(&living.hello)) {
            Contest::Newer => {}
            Contest::Older => return Err(Refusal::Duplicate),
            Contest::OtherBoot => {
                if tokio::time::timeout(PROBE, living.probe()).await == Ok(true) {
                    self.note_twins(host, [start.boot(), &living.hello.boot_id]);
                    living.end(Disconnect::Cut(Refusal::Duplicate));
                    return Err(Refusal::Duplicate);
                }
            }
        }
        living.end(Disconnect::Replaced);
        living.ended().await;
        Ok(claim)
    }

    /// The session lives from now on.
    pub(super) fn insert(&self, session: Arc<Shared>) {
        let host = session.host;
        self.with(host, |entry| entry.living = Some(session));
        self.changed.notify_waiters();
    }

    /// The session lives no more.
    pub(super) fn remove(&self, session: &Arc<Shared>) {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = hosts.get_mut(&session.host) {
            entry.living.take_if(|living| Arc::ptr_eq(living, session));
            if entry.living.is_none()
                && entry.twins.is_empty()
                && Arc::strong_count(&entry.opening) == 1
            {
                hosts.remove(&session.host);
            }
        }
    }

    pub(super) fn get(&self, host: HostId) -> Option<Arc<Shared>> {
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.get(&host)?.living.clone()
    }

    pub(super) fn all(&self) -> Vec<Arc<Shared>> {
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts
            .values()
            .filter_map(|entry| entry.living.clone())
            .collect()
    }

    /// The host's session, as soon as it has one.
    pub(super) async fn wait(&self, host: HostId) -> Arc<Shared> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(session) = self.get(host) {
                return session;
            }
            changed.await;
        }
    }

    /// The host was enrolled anew, or removed: what was seen of twins says nothing about it.
    pub(super) fn forget_twins(&self, host: HostId) {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = hosts.get_mut(&host) {
            entry.twins.clear();
        }
    }

    /// Whether another boot uses this identity. Notes that this one does.
    fn has_twin(&self, host: HostId, start: &Start) -> bool {
        let now = Instant::now();
        self.with(host, |entry| {
            entry.twins.retain(|_, seen| now < *seen + TWIN);
            let twin = entry.twins.keys().any(|boot| boot != start.boot());
            if twin {
                entry.twins.insert(start.boot().to_owned(), now);
            } else {
                entry.twins.clear();
            }
            twin
        })
    }

    fn note_twins(&self, host: HostId, boots: [&str; 2]) {
        let now = Instant::now();
        self.with(host, |entry| {
            entry.twins.extend(boots.map(|boot| (boot.to_owned(), now)));
        });
    }

    fn with<T>(&self, host: HostId, work: impl FnOnce(&mut Host) -> T) -> T {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        work(hosts.entry(host).or_default())
    }
}
