//! What hosts should have: each assignment with its revision, sealed whole.

use std::sync::Arc;

use bytes::Bytes;
use foundry_proto::agent::v1::{Assign, RetryPolicy, SlotValue};
use foundry_proto::{AssignmentName, Digest, HostId};
use prost::Message as _;

use super::{Expect, SealKey, Store, StoreError, Table, Write};

#[derive(Clone, PartialEq, prost::Message)]
struct Row {
    #[prost(uint64, tag = "1")]
    revision: u64,
    #[prost(bytes = "bytes", tag = "2")]
    digest: Bytes,
    #[prost(bool, tag = "3")]
    removed: bool,
    /// The removal is done: only the revision is kept, so that a later assignment of this name is numbered above it.
    #[prost(bool, tag = "4")]
    forgotten: bool,
    #[prost(bytes = "bytes", tag = "5")]
    sealed: Bytes,
    #[prost(uint64, tag = "6")]
    made_ms: u64,
    #[prost(string, tag = "7")]
    run: String,
}

/// What a host should have under one name, still sealed.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// The name.
    pub name: AssignmentName,
    /// The newest revision.
    pub revision: u64,
    /// SHA-256 of its content.
    pub digest: Digest,
    /// It is to be taken away.
    pub removed: bool,
    /// It was taken away: this is only the memory of its revision.
    pub forgotten: bool,
    /// When this revision was made, in milliseconds since 1970.
    pub made_ms: u64,
    /// The run that made it.
    pub run: String,
    sealed: Bytes,
    version: u64,
}

/// A revision to be made.
#[derive(Debug, Clone)]
pub struct Next {
    /// Under which name.
    pub name: AssignmentName,
    /// An encoded Assignment.
    pub content: Bytes,
    /// Sensitive values beside it.
    pub slots: Vec<SlotValue>,
    /// How often it is tried.
    pub retry: Option<RetryPolicy>,
    /// The content says that it is to be taken away.
    pub removed: bool,
    /// Revisions that the host has seen already, after a store was restored; the new one is above.
    pub above: u64,
    /// When, in milliseconds since 1970.
    pub made_ms: u64,
    /// By which run.
    pub run: String,
}

/// Assignments by host and name.
#[derive(Clone)]
pub struct Assignments {
    store: Arc<dyn Store>,
    seal: Arc<SealKey>,
}

// === impl Assignments ===

impl Assignments {
    pub(super) fn new(store: Arc<dyn Store>, seal: Arc<SealKey>) -> Self {
        Self { store, seal }
    }

    /// Everything that any host should have, or had once.
    pub async fn all(&self) -> Result<Vec<(HostId, Wanted)>, StoreError> {
        let records = self.store.list(Table::Assignments, "").await?;
        records
            .into_iter()
            .filter_map(|(key, record)| {
                let (host, name) = key.split_once('/')?;
                let (host, name) = (host.parse().ok()?, name.parse().ok()?);
                Some(wanted(name, &key, &record).map(|wanted| (host, wanted)))
            })
            .collect()
    }

    /// Everything that this host should have, or had once.
    pub async fn list(&self, host: HostId) -> Result<Vec<Wanted>, StoreError> {
        let prefix = format!("{host}/");
        let records = self.store.list(Table::Assignments, &prefix).await?;
        records
            .into_iter()
            .filter_map(|(key, record)| {
                let name = key.strip_prefix(&prefix)?.parse().ok()?;
                Some(wanted(name, &key, &record))
            })
            .collect()
    }

    /// One of them.
    pub async fn get(
        &self,
        host: HostId,
        name: &AssignmentName,
    ) -> Result<Option<Wanted>, StoreError> {
        let key = format!("{host}/{name}");
        let record = self.store.get(Table::Assignments, &key).await?;
        record
            .map(|record| wanted(name.clone(), &key, &record))
            .transpose()
    }

    /// What the host is to be sent.
    pub fn open(&self, host: HostId, wanted: &Wanted) -> Result<Assign, StoreError> {
        let place = place(host, &wanted.name, wanted.revision);
        let plain = self.seal.open(&place, &wanted.sealed)?;
        Assign::decode(plain.as_slice()).map_err(|_| StoreError::Seal { what: place })
    }

    /// The next revision under a name, and the change that stores it if `current` is still what is there.
    pub fn next(
        &self,
        host: HostId,
        current: Option<&Wanted>,
        next: Next,
    ) -> Result<(Assign, Write), StoreError> {
        let before = current.map_or(0, |wanted| wanted.revision);
        let revision = before.max(next.above) + 1;
        let digest = Digest::of(&next.content);
        let assign = Assign {
            name: next.name.to_string(),
            revision,
            digest: digest.to_bytes(),
            content: next.content,
            slots: next.slots,
            retry: next.retry,
        };
        let sealed = self
            .seal
            .seal(&place(host, &next.name, revision), &assign.encode_to_vec())?;
        let row = Row {
            revision,
            digest: digest.to_bytes(),
            removed: next.removed,
            forgotten: false,
            sealed: sealed.into(),
            made_ms: next.made_ms,
            run: next.run,
        };
        let write = Write::Put {
            table: Table::Assignments,
            key: format!("{host}/{}", next.name),
            value: row.encode_to_vec().into(),
            expect: current.map_or(Expect::Absent, |wanted| Expect::Version(wanted.version)),
        };
        Ok((assign, write))
    }

    /// The change that keeps only the memory of a removal which is done.
    pub fn forgetting(&self, host: HostId, wanted: &Wanted) -> Write {
        let row = Row {
            revision: wanted.revision,
            digest: wanted.digest.to_bytes(),
            removed: true,
            forgotten: true,
            sealed: Bytes::new(),
            made_ms: wanted.made_ms,
            run: wanted.run.clone(),
        };
        Write::Put {
            table: Table::Assignments,
            key: format!("{host}/{}", wanted.name),
            value: row.encode_to_vec().into(),
            expect: Expect::Version(wanted.version),
        }
    }
}

/// What a seal is bound to.
fn place(host: HostId, name: &AssignmentName, revision: u64) -> String {
    format!("{host}|{name}|{revision}")
}

fn wanted(name: AssignmentName, key: &str, record: &super::Record) -> Result<Wanted, StoreError> {
    let damaged = |source| StoreError::Damaged {
        table: Table::Assignments,
        key: key.to_owned(),
        source,
    };
    let row = Row::decode(record.value.clone()).map_err(damaged)?;
    let digest = Digest::try_from(&row.digest).map_err(|_| StoreError::Seal {
        what: format!("the digest of {key}"),
    })?;
    Ok(Wanted {
        name,
        revision: row.revision,
        digest,
        removed: row.removed,
        forgotten: row.forgotten,
        made_ms: row.made_ms,
        run: row.run,
        sealed: row.sealed,
        version: record.version,
    })
}
