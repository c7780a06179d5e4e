//! What engine and hub share: store, view, authorities.

use std::sync::{Arc, PoisonError, RwLock};

use foundry_link::tls::Clock;
use foundry_proto::operator::v1::EventRecord;
use foundry_proto::{FleetId, HostId};

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

    /// These addresses are to be dialled from now on. Whether they are other ones than before.
    pub(crate) async fn set_advertise(&self, addresses: Vec<String>) -> Result<bool, StoreError> {
        if addresses == self.advertise() {
            return Ok(false);
        }
        self.store.meta.set_advertise(&addresses).await?;
        *self
            .advertise
            .write()
            .unwrap_or_else(PoisonError::into_inner) = addresses;
        Ok(true)
    }

    /// Writes down that something happened to a host. A store that cannot is told in the log; the work goes on.
    pub(crate) async fn note(&self, host: &str, kind: &str, text: impl Into<String>) {
        let event = EventRecord {
            host: host.to_owned(),
            ..event(kind, text)
        };
        self.append(event).await;
    }

    /// Writes down that something happened to a run.
    pub(crate) async fn note_run(&self, run: &str, text: impl Into<String>) {
        let event = EventRecord {
            run: run.to_owned(),
            ..event("run", text)
        };
        self.append(event).await;
    }

    async fn append(&self, event: EventRecord) {
        let kind = event.kind.clone();
        if let Err(error) = self.store.events.append(vec![event]).await {
            tracing::warn!(
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
        let writes = rows.into_iter().map(|id| self.flush_row(id));
        futures_util::future::try_join_all(writes).await.map(|_| ())
    }

    async fn flush_row(&self, id: HostId) -> Result<(), StoreError> {
        let Some((stored, version)) = self.store.hosts.get(id).await? else {
            return Ok(());
        };
        let Some(seen) = self.view.read(id, |host| host.row.clone()) else {
            return Ok(());
        };
        let row = HostRow {
            facts: seen.facts,
            agent_version: seen.agent_version,
            agent_digest: seen.agent_digest,
            ledger_id: seen.ledger_id,
            ..stored
        };
        match self.store.hosts.put(id, &row, Some(version)).await {
            // An enrolment came between; it knows better, and the next hello is written again.
            Err(error) if error.is_conflict() => Ok(()),
            result => result,
        }
    }

    /// Writes down that the hosts with a session are alive now, and when the others were.
    pub(crate) async fn write_seen(&self) -> Result<(), StoreError> {
        let mut batch = Vec::new();
        self.view
            .for_each(|id, host| batch.push(self.store.hosts.putting_seen(id, host.seen_ms)));
        self.store.write(batch).await.map(|_| ())
    }
}

fn event(kind: &str, text: impl Into<String>) -> EventRecord {
    EventRecord {
        at_ms: now_ms(),
        kind: kind.to_owned(),
        text: text.into(),
        ..EventRecord::default()
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
