//! Single values: the store's id, where it listens, who may change the fleet.

use std::sync::Arc;

use prost::Message as _;
use uuid::Uuid;

use super::{Expect, Store, StoreError, Table, Write};

const STORE_ID: &str = "store-id";
const LISTEN: &str = "listen";
const ADVERTISE: &str = "advertise";
const LEASE: &str = "lease";

/// Who may change the fleet now.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LeaseRow {
    /// Who: user@machine. Empty: nobody.
    #[prost(string, tag = "1")]
    pub holder: String,
    /// Why.
    #[prost(string, tag = "2")]
    pub reason: String,
    /// Since when, in milliseconds since 1970.
    #[prost(uint64, tag = "3")]
    pub since_ms: u64,
    /// For which run.
    #[prost(string, tag = "4")]
    pub run: String,
    /// Until when, in milliseconds of CLOCK_BOOTTIME of the boot that follows.
    #[prost(uint64, tag = "5")]
    pub until_boot_ms: u64,
    /// The boot id of the machine that renews it.
    #[prost(string, tag = "6")]
    pub boot_id: String,
}

/// Single values.
#[derive(Clone)]
pub struct Meta {
    store: Arc<dyn Store>,
}

// === impl Meta ===

impl Meta {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The store's random id, made at the first call. A restored store gets a new one.
    pub async fn store_id(&self) -> Result<String, StoreError> {
        if let Some(id) = self.text(STORE_ID).await? {
            return Ok(id);
        }
        let id = Uuid::new_v4().simple().to_string();
        match self.put(STORE_ID, id.clone().into(), Expect::Absent).await {
            Err(error) if error.is_conflict() => Ok(self.text(STORE_ID).await?.unwrap_or_default()),
            written => written.map(|()| id),
        }
    }

    /// Where the agents' listener was last asked to be.
    pub async fn listen(&self) -> Result<Option<String>, StoreError> {
        self.text(LISTEN).await
    }

    /// Keeps where the agents' listener is to be.
    pub async fn set_listen(&self, address: &str) -> Result<(), StoreError> {
        self.put(LISTEN, address.to_owned().into(), Expect::Any)
            .await
    }

    /// The addresses that agents are told to dial, host:port.
    pub async fn advertise(&self) -> Result<Vec<String>, StoreError> {
        let text = self.text(ADVERTISE).await?.unwrap_or_default();
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Keeps the addresses that agents are told to dial.
    pub async fn set_advertise(&self, addresses: &[String]) -> Result<(), StoreError> {
        self.put(ADVERTISE, addresses.join("\n").into(), Expect::Any)
            .await
    }

    /// The lease with the version to change it by; version 0: there never was one.
    pub async fn lease(&self) -> Result<(LeaseRow, u64), StoreError> {
        let Some(record) = self.store.get(Table::Meta, LEASE).await? else {
            return Ok((LeaseRow::default(), 0));
        };
        let row = LeaseRow::decode(record.value).map_err(|source| StoreError::Damaged {
            table: Table::Meta,
            key: LEASE.to_owned(),
            source,
        })?;
        Ok((row, record.version))
    }

    /// Changes the lease if it is still as read.
    pub async fn set_lease(&self, row: &LeaseRow, version: u64) -> Result<(), StoreError> {
        let expect = if version == 0 {
            Expect::Absent
        } else {
            Expect::Version(version)
        };
        self.put(LEASE, row.encode_to_vec().into(), expect).await
    }

    async fn text(&self, key: &str) -> Result<Option<String>, StoreError> {
        let record = self.store.get(Table::Meta, key).await?;
        Ok(record.map(|record| String::from_utf8_lossy(&record.value).into_owned()))
    }

    async fn put(&self, key: &str, value: bytes::Bytes, expect: Expect) -> Result<(), StoreError> {
        let put = Write::Put {
            table: Table::Meta,
            key: key.to_owned(),
            value,
            expect,
        };
        self.store.write(vec![put]).await.map(|_| ())
    }
}
