//! What the hub asks: the desired state of a host, its certificate, and that its events be stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use foundry_link::pki::{HOST_LIFETIME, HostPublicKey};
use foundry_proto::agent::v1::{
    Assign, Assignment, Hello, IssuedCertificate, Outcome, Phase, Welcome, event,
};
use foundry_proto::{AssignmentName, Digest, HostId};
use prost::Message as _;

use super::clock::now_ms;
use super::core::{Core, admitted};
use super::telling;
use crate::artifacts::artifacts_of;
use crate::hub::{Backend, BackendError, HostEvent};
use crate::store::{StoreError, Wanted};

/// A row that others change at the same time is read and changed again this often.
const TRIES: usize = 5;

#[async_trait]
impl Backend for Core {
    async fn desired(&self, host: HostId) -> Result<Vec<Assign>, BackendError> {
        let wanted = self.wanted(host).await?;
        let opened = wanted
            .iter()
            .map(|wanted| self.store.assignments.open(host, wanted));
        opened
            .collect::<Result<_, _>>()
            .map_err(|error| BackendError::new("open what the host should have", error))
    }

    async fn recorded(&self, host: HostId, ledger: &str) -> Result<u64, BackendError> {
        let through = self.store.ledgers.through(host, ledger).await;
        through.map_err(|error| BackendError::new("read how far its events are stored", error))
    }

    async fn record(&self, batch: &[HostEvent]) -> Result<(), BackendError> {
        let now_ms = now_ms();
        let (mut writes, mut through) = (Vec::new(), BTreeMap::new());
        let mut touched: BTreeMap<HostId, BTreeSet<AssignmentName>> = BTreeMap::new();
        let mut removed = Vec::new();
        for HostEvent {
            host,
            ledger,
            event,
        } in batch
        {
            let Some((name, hostname)) = self.view.update(*host, |view| {
                (view.event(event, now_ms), view.row.hostname.clone())
            }) else {
                continue;
            };
            touched.entry(*host).or_default().extend(name);
            removed.extend(removal_done(event).map(|(name, revision)| (*host, name, revision)));
            through.insert((*host, ledger), event.number);
            let told = telling::event(&hostname, event, now_ms);
            writes.push(self.store.events.appending(told));
        }
        let count = writes.len() as u64;
        for (host, names) in &touched {
            writes.extend(self.view.writes(&self.store, *host, names));
        }
        for ((host, ledger), number) in through {
            writes.push(self.store.ledgers.putting(host, ledger, number));
        }
        let written = self.store.write(writes).await;
        if written.is_err() {
            // The view is ahead of the store: what it knows is written with the next flush. The events come again.
            for (host, names) in touched {
                self.view.mark(host, names, false);
            }
        }
        let stored = |error: StoreError| BackendError::new("store what hosts told", error);
        written.map_err(stored)?;
        self.store
            .events
            .appended(count, now_ms)
            .await
            .map_err(stored)?;
        for (host, name, revision) in removed {
            self.forget(host, &name, revision).await?;
        }
        Ok(())
    }

    async fn artifact(
        &self,
        host: HostId,
        digest: Digest,
    ) -> Result<Option<Utf8PathBuf>, BackendError> {
        let assigned = self.desired(host).await?;
        let names = |assign: &Assign| {
            let assignment = Assignment::decode(assign.content.clone());
            assignment.is_ok_and(|assignment| artifacts_of(&assignment).contains(&digest))
        };
        if !assigned.iter().any(names) {
            return Ok(None);
        }
        let missing = || BackendError::message(format!("artifact {} is not here", digest.short()));
        self.artifacts.get(&digest).map(Some).ok_or_else(missing)
    }

    fn welcome(&self, _host: HostId) -> Welcome {
        let authority = self.authorities.fleet().certificate_der();
        Welcome {
            store_id: self.store_id.clone(),
            addresses: self.advertise(),
            trusted_cas: vec![bytes::Bytes::copy_from_slice(authority)],
            ..Welcome::default()
        }
    }

    async fn renew(&self, host: HostId, csr: &[u8]) -> Result<IssuedCertificate, BackendError> {
        let key = HostPublicKey::from_csr(csr)
            .map_err(|error| BackendError::new("read the request for a certificate", error))?;
        let authority = self.authorities.fleet();
        let now = self.clock.now();
        let chain = authority
            .issue_host(&key, &self.fleet, host, now)
            .map_err(|error| BackendError::new("issue a certificate", error))?;
        let fingerprint = key.fingerprint().to_bytes();
        let lifetime_ms = u64::try_from(HOST_LIFETIME.as_millis()).unwrap_or_default();
        self.change_row(host, |row| {
            // The present key stays good until the new one has connected; a request that was repeated replaces the last.
            row.keys.truncate(1);
            row.certificate_expires_ms = now_ms() + lifetime_ms;
            if row.keys.first() != Some(&fingerprint) {
                row.keys.push(fingerprint.clone());
            }
            true
        })
        .await?;
        let der = |der: &[u8]| bytes::Bytes::copy_from_slice(der);
        Ok(IssuedCertificate {
            chain: chain.iter().map(|certificate| der(certificate)).collect(),
            trusted_cas: vec![der(authority.certificate_der())],
        })
    }

    async fn connected(&self, host: HostId, key: Digest, hello: &Hello) {
        let now_ms = now_ms();
        let told = self.view.update(host, |view| {
            let renewed = view.row.keys.len() > 1 && view.row.keys.last() == Some(&key.to_bytes());
            (
                view.hello(hello, now_ms),
                view.row.hostname.clone(),
                renewed,
            )
        });
        let Some((greeting, hostname, renewed)) = told else {
            return;
        };
        self.view.mark(host, greeting.touched, greeting.row_changed);
        self.note(&hostname, "connected", format!("agent {}", hello.version))
            .await;
        if renewed {
            let dropped = self.change_row(host, |row| {
                let renewed = row.keys.last() == Some(&key.to_bytes()) && row.keys.len() > 1;
                if renewed {
                    row.admit_only(key);
                }
                renewed
            });
            if let Err(error) = dropped.await {
                tracing::warn!(%host, error = &error as &dyn std::error::Error, "old key not dropped");
            }
        }
    }
}

impl Core {
    /// What this host should have, without what was taken away.
    pub(super) async fn wanted(&self, host: HostId) -> Result<Vec<Wanted>, BackendError> {
        let wanted = self.store.assignments.list(host).await;
        let wanted =
            wanted.map_err(|error| BackendError::new("read what the host should have", error))?;
        Ok(wanted
            .into_iter()
            .filter(|wanted| !wanted.forgotten)
            .collect())
    }

    /// Changes what is stored of a host, then who is let in.
    async fn change_row(
        &self,
        host: HostId,
        change: impl Fn(&mut crate::store::HostRow) -> bool,
    ) -> Result<(), BackendError> {
        let failed = |error| BackendError::new("change what is kept of the host", error);
        for _ in 0..TRIES {
            let Some((mut row, version)) = self.store.hosts.get(host).await.map_err(failed)? else {
                return Err(BackendError::message("the host was removed"));
            };
            if !change(&mut row) {
                return Ok(());
            }
            match self.store.hosts.put(host, &row, Some(version)).await {
                Err(error) if error.is_conflict() => {}
                result => {
                    result.map_err(failed)?;
                    self.admission.insert(host, admitted(&row));
                    self.view.update(host, |view| {
                        view.row.keys.clone_from(&row.keys);
                        view.row.old_keys.clone_from(&row.old_keys);
                        view.row.certificate_expires_ms = row.certificate_expires_ms;
                    });
                    return Ok(());
                }
            }
        }
        Err(BackendError::message(
            "the host is changed by others all the time",
        ))
    }

    /// A removal is done: only its revision is remembered.
    async fn forget(
        &self,
        host: HostId,
        name: &AssignmentName,
        revision: u64,
    ) -> Result<(), BackendError> {
        let failed = |error| BackendError::new("forget what was removed", error);
        let wanted = self
            .store
            .assignments
            .get(host, name)
            .await
            .map_err(failed)?;
        let Some(wanted) = wanted.filter(|wanted| wanted.removed && wanted.revision == revision)
        else {
            return Ok(());
        };
        match self
            .store
            .write(vec![self.store.assignments.forgetting(host, &wanted)])
            .await
        {
            // A newer order came between.
            Err(error) if error.is_conflict() => Ok(()),
            Err(error) => Err(failed(error)),
            Ok(_) => {
                self.view.update(host, |view| view.orders.remove(name));
                Ok(())
            }
        }
    }
}

/// The name and revision of a removal that this event ends.
fn removal_done(event: &foundry_proto::agent::v1::Event) -> Option<(AssignmentName, u64)> {
    let Some(event::Body::Outcome(Outcome { phase, .. })) = &event.body else {
        return None;
    };
    let done = *phase == i32::from(Phase::Removed);
    let name = event.assignment.parse().ok()?;
    done.then_some((name, event.revision))
}

/// The same core, as the hub takes it.
pub(super) fn as_backend(core: &Arc<Core>) -> Arc<dyn Backend> {
    Arc::clone(core) as Arc<dyn Backend>
}
