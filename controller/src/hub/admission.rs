//! Who is let in: an allow-list in memory, published after each write to the store.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use foundry_link::pki::Peer;
use foundry_proto::agent::v1::Refusal;
use foundry_proto::{Digest, FleetId, HostId, Identity};

/// The allow-list. Clones are the same list.
#[derive(Debug, Clone)]
pub struct Admission {
    fleet: FleetId,
    hosts: Arc<RwLock<HashMap<HostId, Admitted>>>,
}

/// A host that is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// Which enrolment of this host it is; grows with each.
    pub epoch: u64,
    /// SHA-256 of the public keys that are good: the present one, and while it is renewed the next one too.
    pub keys: Vec<Digest>,
    /// Keys of earlier enrolments, so that the refusal can say so. May be empty.
    pub old_keys: Vec<Digest>,
}

// === impl Admission ===

impl Admission {
    /// Nobody is let in yet.
    pub fn new(fleet: FleetId) -> Self {
        Self {
            fleet,
            hosts: Arc::default(),
        }
    }

    /// From now on exactly these are let in.
    pub fn replace(&self, hosts: impl IntoIterator<Item = (HostId, Admitted)>) {
        *self.hosts.write().unwrap_or_else(PoisonError::into_inner) = hosts.into_iter().collect();
    }

    /// This host is let in with these keys and no others.
    pub fn insert(&self, host: HostId, admitted: Admitted) {
        self.hosts
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(host, admitted);
    }

    /// This host is no longer let in. Its session is cut by [`super::Hub::cut`], or at its next heartbeat.
    pub fn remove(&self, host: HostId) {
        self.hosts
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&host);
    }

    /// What is admitted for this host.
    pub fn get(&self, host: HostId) -> Option<Admitted> {
        self.hosts
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&host)
            .cloned()
    }

    /// The host that this peer is, if it is let in.
    pub fn check(&self, peer: &Peer) -> Result<HostId, Refusal> {
        let Identity::Host(fleet, host) = &peer.identity else {
            return Err(Refusal::NotAHost);
        };
        if *fleet != self.fleet {
            return Err(Refusal::NotAHost);
        }
        let hosts = self.hosts.read().unwrap_or_else(PoisonError::into_inner);
        let admitted = hosts.get(host).ok_or(Refusal::Removed)?;
        if admitted.keys.contains(&peer.key) {
            Ok(*host)
        } else if admitted.old_keys.contains(&peer.key) {
            Err(Refusal::OldEpoch)
        } else {
            Err(Refusal::UnknownKey)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use foundry_link::pki::Peer;
    use foundry_proto::agent::v1::Refusal;
    use foundry_proto::{Digest, FleetId, HostId, Identity};

    use super::{Admission, Admitted};

    fn peer(identity: Identity, key: &str) -> Peer {
        let key = Digest::of(key.as_bytes());
        Peer {
            identity,
            key,
            not_before: UNIX_EPOCH,
            not_after: UNIX_EPOCH,
        }
    }

    #[test]
    fn each_refusal_says_why() {
        let (fleet, host) = (FleetId::generate("here"), HostId::generate());
        let admission = Admission::new(fleet.clone());
        let keys = |names: &[&str]| {
            names
                .iter()
                .map(|name| Digest::of(name.as_bytes()))
                .collect()
        };
        let admitted = Admitted {
            epoch: 2,
            keys: keys(&["new", "next"]),
            old_keys: keys(&["old"]),
        };
        admission.insert(host, admitted);
        let here = Identity::Host(fleet.clone(), host);
        assert_eq!(admission.check(&peer(here.clone(), "new")), Ok(host));
        assert_eq!(admission.check(&peer(here.clone(), "next")), Ok(host));
        assert_eq!(
            admission.check(&peer(here.clone(), "old")),
            Err(Refusal::OldEpoch)
        );
        assert_eq!(
            admission.check(&peer(here.clone(), "never")),
            Err(Refusal::UnknownKey)
        );
        let elsewhere = Identity::Host(FleetId::generate("there"), host);
        assert_eq!(
            admission.check(&peer(elsewhere, "new")),
            Err(Refusal::NotAHost)
        );
        let controller = Identity::Controller(fleet);
        assert_eq!(
            admission.check(&peer(controller, "new")),
            Err(Refusal::NotAHost)
        );
        admission.remove(host);
        assert_eq!(admission.check(&peer(here, "new")), Err(Refusal::Removed));
    }
}
