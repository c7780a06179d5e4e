//! How far the events of each host's ledger are stored: what comes again is not stored again.

use std::sync::Arc;

use foundry_proto::HostId;

use super::{Expect, Store, StoreError, Table, Write};

/// Highest numbers by host and ledger.
#[derive(Clone)]
pub struct Ledgers {
    store: Arc<dyn Store>,
}

// === impl Ledgers ===

impl Ledgers {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The highest number of this ledger's events that is stored; 0: none.
    pub async fn through(&self, host: HostId, ledger: &str) -> Result<u64, StoreError> {
        let record = self.store.get(Table::Ledgers, &key(host, ledger)).await?;
        let bytes = record.and_then(|record| record.value.as_ref().try_into().ok());
        Ok(bytes.map(u64::from_be_bytes).unwrap_or_default())
    }

    /// The change that keeps a number, to be carried out with the events themselves.
    pub fn putting(&self, host: HostId, ledger: &str, through: u64) -> Write {
        Write::Put {
            table: Table::Ledgers,
            key: key(host, ledger),
            value: bytes::Bytes::copy_from_slice(&through.to_be_bytes()),
            expect: Expect::Any,
        }
    }
}

fn key(host: HostId, ledger: &str) -> String {
    format!("{host}/{ledger}")
}
