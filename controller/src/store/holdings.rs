//! What hosts last said that they have: the answer to `status` while they are away.

use std::sync::Arc;

use bytes::Bytes;
use foundry_proto::agent::v1::Phase;
use foundry_proto::{AssignmentName, HostId};
use prost::Message as _;

use super::{Expect, Store, StoreError, Table, Write};

/// One assignment as its host last told. Times are in milliseconds since 1970 by the controller's clock; 0: never.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HoldingRecord {
    /// The revision that it works on or has.
    #[prost(uint64, tag = "1")]
    pub revision: u64,
    /// SHA-256 of that revision's content.
    #[prost(bytes = "bytes", tag = "2")]
    pub digest: Bytes,
    /// How far it has come.
    #[prost(enumeration = "Phase", tag = "3")]
    pub phase: i32,
    /// The newest revision that it accepted.
    #[prost(uint64, tag = "4")]
    pub accepted: u64,
    /// When.
    #[prost(uint64, tag = "5")]
    pub accepted_ms: u64,
    /// The newest revision that it achieved; 0: none.
    #[prost(uint64, tag = "6")]
    pub achieved: u64,
    /// When.
    #[prost(uint64, tag = "7")]
    pub achieved_ms: u64,
    /// What its probes say.
    #[prost(bool, optional, tag = "8")]
    pub healthy: Option<bool>,
    /// Since when they say so.
    #[prost(uint64, tag = "9")]
    pub healthy_ms: u64,
    /// What the probes add.
    #[prost(string, tag = "10")]
    pub health_message: String,
    /// The cause, where the phase is a failure.
    #[prost(string, tag = "11")]
    pub message: String,
    /// Something was changed by hand, and what.
    #[prost(string, tag = "12")]
    pub drift: String,
    /// The revision that the probes looked at.
    #[prost(uint64, tag = "13")]
    pub health_revision: u64,
}

/// Holdings by host and name.
#[derive(Clone)]
pub struct Holdings {
    store: Arc<dyn Store>,
}

// === impl Holdings ===

impl Holdings {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Everything that any host told.
    pub async fn all(&self) -> Result<Vec<(HostId, AssignmentName, HoldingRecord)>, StoreError> {
        let records = self.store.list(Table::Holdings, "").await?;
        records
            .into_iter()
            .filter_map(|(key, record)| {
                let (host, name) = key.split_once('/')?;
                let (host, name) = (host.parse().ok()?, name.parse().ok()?);
                let row = HoldingRecord::decode(record.value);
                let damaged = |source| StoreError::Damaged {
                    table: Table::Holdings,
                    key,
                    source,
                };
                Some(row.map(|row| (host, name, row)).map_err(damaged))
            })
            .collect()
    }

    /// The change that keeps this as the host's last word.
    pub fn putting(&self, host: HostId, name: &AssignmentName, holding: &HoldingRecord) -> Write {
        Write::Put {
            table: Table::Holdings,
            key: format!("{host}/{name}"),
            value: holding.encode_to_vec().into(),
            expect: Expect::Any,
        }
    }

    /// The change that forgets it.
    pub fn deleting(&self, host: HostId, name: &AssignmentName) -> Write {
        Write::Delete {
            table: Table::Holdings,
            key: format!("{host}/{name}"),
            expect: Expect::Any,
        }
    }
}
