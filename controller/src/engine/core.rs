//! What engine and hub share: store, view, authorities.

use std::sync::{Arc, PoisonError, RwLock};

use foundry_link::tls::Clock;
use foundry_proto::FleetId;
use foundry_proto::operator::v1::EventRecord;

use super::clock::now_ms;
use super::view::View;
use crate::artifacts::Artifacts;
use crate::hub::{Admission, Admitted};
use crate::state::Authorities;
use crate::store::{HostRow, Repositories, StoreError};

/// What engine and hub share.
pub(crate) struct Core {
    pub(crate) fleet: FleetId,
    pub(crate) store: Repositories,
    pub(crate) store_id: String,
    pub(crate) view: View,
    pub(crate) authorities: Authorities,
    pub(crate) artifacts: Artifacts,
    pub(crate) admission: Admission,
    pub(crate) clock: Arc<Clock>,
    /// The addresses of the file, host:port, that agents are told to dial; empty: they keep what they were given.
    advertise: RwLock<Vec<String>>,
}

// === impl Core ===

impl Core {
    /// From what is stored; everyone who is enrolled is admitted.
    pub(crate) async fn load(
        fleet: FleetId,
        store: Repositories,
        authorities: Authorities,
        artifacts: Artifacts,
    ) -> Result<Self, StoreError> {
        let store_id = store.meta.store_id().await?;
        let view = View::load(&store).await?;
        let admission = Admission::new(fleet.clone());
        let mut admitted_hosts = Vec::with_capacity(view.len());
        view.for_each(|id, host| admitted_hosts.push((id, admitted(&host.row))));
        admission.replace(admitted_hosts);
        let advertise = RwLock::new(store.meta.advertise().await?);
        let clock = Arc::new(Clock::default());
        Ok(Self {
            fleet,
            store,
            store_id,
            view,
            authorities,
            artifacts,
            admission,
            clock,
            advertise,
        })
    }

    /// The addresses that agents are told to dial.
    pub(crate) fn advertise(&self) -> Vec<String> {
        self.advertise
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Other addresses are to be dialled from now on.
    pub(crate) async fn set_advertise(&self, addresses: Vec<String>) -> Result<(), StoreError> {
        if addresses == self.advertise() {
            return Ok(());
        }
        self.store.meta.set_advertise(&addresses).await?;
        *self
            .advertise
            .write()
            .unwrap_or_else(PoisonError::into_inner) = addresses;
        Ok(())
    }

    /// Writes down that something happened to a host. A store that cannot is told in the log; the work goes on.
    pub(crate) async fn note(&self, host: &str, kind: &str, text: impl Into<String>) {
        let event = EventRecord {
            at_ms: now_ms(),
            host: host.to_owned(),
            kind: kind.to_owned(),
            text: text.into(),
            ..EventRecord::default()
        };
        if let Err(error) = self.store.events.append(vec![event]).await {
            tracing::warn!(
                host,
                kind,
                error = &error as &dyn std::error::Error,
                "event not stored"
            );
        }
    }

    /// Brings what is marked in the view to the store.
    pub(crate) async fn flush(&self) -> Result<(), StoreError> {
        let (batch, rows) = self.view.take_unwritten(&self.store);
        self.store.write(batch).await?;
        for id in rows {
            let Some((stored, version)) = self.store.hosts.get(id).await? else {
                continue;
            };
            let Some(seen) = self.view.read(id, |host| host.row.clone()) else {
                continue;
            };
            let row = HostRow {
                facts: seen.facts,
                agent_version: seen.agent_version,
                agent_digest: seen.agent_digest,
                ledger_id: seen.ledger_id,
                seen_ms: seen.seen_ms,
                ..stored.clone()
            };
            match self.store.hosts.put(id, &row, Some(version)).await {
                // An enrolment came between; it knows better, and the next sign of life is written again.
                Err(error) if error.is_conflict() => {}
                result => result?,
            }
        }
        Ok(())
    }
}

/// What the hub lets in for this host.
pub(crate) fn admitted(row: &HostRow) -> Admitted {
    Admitted {
        epoch: row.epoch,
        keys: row.admitted(),
        old_keys: row.retired(),
    }
}
