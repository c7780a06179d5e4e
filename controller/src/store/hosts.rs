//! The hosts of the fleet.

use std::sync::Arc;

use foundry_proto::agent::v1::Facts;
use foundry_proto::{Digest, HostId, Hostname};
use prost::Message as _;
use zeroize::Zeroizing;

use super::{Expect, Record, SealKey, Store, StoreError, Table, Write};

/// What is kept of a host.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HostRow {
    /// Its name in the file.
    #[prost(string, tag = "1")]
    pub hostname: String,
    /// Where ssh reaches it.
    #[prost(string, tag = "2")]
    pub address: String,
    /// Grows with each enrolment.
    #[prost(uint64, tag = "3")]
    pub epoch: u64,
    /// When it was enrolled last, in milliseconds since 1970.
    #[prost(uint64, tag = "4")]
    pub enrolled_ms: u64,
    /// What it said of itself.
    #[prost(message, optional, tag = "5")]
    pub facts: Option<Facts>,
    /// Labels as `key=value`.
    #[prost(string, repeated, tag = "6")]
    pub labels: Vec<String>,
    /// Its agent's version.
    #[prost(string, tag = "7")]
    pub agent_version: String,
    /// SHA-256 of its agent.
    #[prost(bytes = "bytes", tag = "8")]
    pub agent_digest: bytes::Bytes,
    /// SHA-256 of the public keys that are admitted, the newest last: the old one is good until the new one connected.
    #[prost(bytes = "bytes", repeated, tag = "9")]
    pub keys: Vec<bytes::Bytes>,
    /// The key for HMACs of sensitive values, sealed.
    #[prost(bytes = "bytes", tag = "10")]
    pub sealed_hmac_key: bytes::Bytes,
    /// When its certificate ends, in milliseconds since 1970.
    #[prost(uint64, tag = "11")]
    pub certificate_expires_ms: u64,
    /// Its ledger: another one means that it lost what it had.
    #[prost(string, tag = "13")]
    pub ledger_id: String,
    /// SHA-256 of public keys of earlier enrolments, so that a refusal can say so; the newest last.
    #[prost(bytes = "bytes", repeated, tag = "14")]
    pub old_keys: Vec<bytes::Bytes>,
}

/// Keys of earlier enrolments that are remembered.
const OLD_KEYS: usize = 8;

/// The hosts by id, and their names.
#[derive(Clone)]
pub struct Hosts {
    store: Arc<dyn Store>,
    seal: Arc<SealKey>,
}

// === impl HostRow ===

impl HostRow {
    /// The admitted keys.
    pub fn admitted(&self) -> Vec<Digest> {
        self.keys
            .iter()
            .filter_map(|key| Digest::try_from(key).ok())
            .collect()
    }

    /// The keys of earlier enrolments.
    pub fn retired(&self) -> Vec<Digest> {
        self.old_keys
            .iter()
            .filter_map(|key| Digest::try_from(key).ok())
            .collect()
    }

    /// From now on this key alone is admitted; the others are only remembered.
    pub fn admit_only(&mut self, key: Digest) {
        let key = key.to_bytes();
        let retired = std::mem::take(&mut self.keys)
            .into_iter()
            .filter(|old| *old != key);
        self.old_keys.extend(retired);
        let excess = self.old_keys.len().saturating_sub(OLD_KEYS);
        self.old_keys.drain(..excess);
        self.keys = vec![key];
    }
}

// === impl Hosts ===

impl Hosts {
    pub(super) fn new(store: Arc<dyn Store>, seal: Arc<SealKey>) -> Self {
        Self { store, seal }
    }

    /// All hosts with the version of each.
    pub async fn list(&self) -> Result<Vec<(HostId, HostRow, u64)>, StoreError> {
        let records = self.store.list(Table::Hosts, "").await?;
        let hosts = records.into_iter().filter_map(|(key, record)| {
            let id = key.parse().ok()?;
            Some(decode(&key, &record).map(|row| (id, row, record.version)))
        });
        hosts.collect()
    }

    /// One host with its version.
    pub async fn get(&self, id: HostId) -> Result<Option<(HostRow, u64)>, StoreError> {
        let key = id.to_string();
        let record = self.store.get(Table::Hosts, &key).await?;
        record
            .map(|record| Ok((decode(&key, &record)?, record.version)))
            .transpose()
    }

    /// The host of this name.
    pub async fn by_name(
        &self,
        name: &Hostname,
    ) -> Result<Option<(HostId, HostRow, u64)>, StoreError> {
        let Some(record) = self.store.get(Table::Hostnames, name.as_str()).await? else {
            return Ok(None);
        };
        let id = std::str::from_utf8(&record.value)
            .ok()
            .and_then(|id| id.parse().ok());
        let Some(id) = id else { return Ok(None) };
        Ok(self.get(id).await?.map(|(row, version)| (id, row, version)))
    }

    /// Writes a host anew. `version` is what was read; `None`: neither the host nor its name may be there yet.
    pub async fn put(
        &self,
        id: HostId,
        row: &HostRow,
        version: Option<u64>,
    ) -> Result<(), StoreError> {
        self.store
            .write(self.putting(id, row, version))
            .await
            .map(|_| ())
    }

    /// The changes of [`Self::put`], to be carried out with others.
    pub fn putting(&self, id: HostId, row: &HostRow, version: Option<u64>) -> Vec<Write> {
        let expect = version.map_or(Expect::Absent, Expect::Version);
        let value = row.encode_to_vec().into();
        let mut batch = vec![Write::Put {
            table: Table::Hosts,
            key: id.to_string(),
            value,
            expect,
        }];
        if version.is_none() {
            batch.push(Write::Put {
                table: Table::Hostnames,
                key: row.hostname.clone(),
                value: id.to_string().into(),
                expect: Expect::Absent,
            });
        }
        batch
    }

    /// The changes that forget a host, with what it had.
    pub async fn removing(&self, id: HostId, row: &HostRow) -> Result<Vec<Write>, StoreError> {
        let mut batch = vec![delete(Table::Hosts, id.to_string())];
        batch.push(delete(Table::Hostnames, row.hostname.clone()));
        batch.push(delete(Table::Seen, id.to_string()));
        for table in [Table::Assignments, Table::Holdings, Table::Ledgers] {
            let records = self.store.list(table, &format!("{id}/")).await?;
            batch.extend(records.into_iter().map(|(key, _)| delete(table, key)));
        }
        Ok(batch)
    }

    /// The change that keeps when a host was last seen, in milliseconds since 1970. Apart from the host itself, since
    /// many are written at a time.
    pub fn putting_seen(&self, id: HostId, seen_ms: u64) -> Write {
        Write::Put {
            table: Table::Seen,
            key: id.to_string(),
            value: bytes::Bytes::copy_from_slice(&seen_ms.to_be_bytes()),
            expect: Expect::Any,
        }
    }

    /// When hosts were last seen, in milliseconds since 1970.
    pub async fn seen(&self) -> Result<Vec<(HostId, u64)>, StoreError> {
        let records = self.store.list(Table::Seen, "").await?;
        let seen = records.into_iter().filter_map(|(key, record)| {
            let seen_ms = record.value.as_ref().try_into().ok()?;
            Some((key.parse().ok()?, u64::from_be_bytes(seen_ms)))
        });
        Ok(seen.collect())
    }

    /// Seals the key for HMACs of a host's sensitive values.
    pub fn seal_hmac_key(&self, id: HostId, key: &[u8]) -> Result<bytes::Bytes, StoreError> {
        self.seal
            .seal(&format!("{id}|hmac-key"), key)
            .map(bytes::Bytes::from)
    }

    /// Opens it.
    pub fn open_hmac_key(
        &self,
        id: HostId,
        row: &HostRow,
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        self.seal
            .open(&format!("{id}|hmac-key"), &row.sealed_hmac_key)
            .map(Zeroizing::new)
    }
}

fn delete(table: Table, key: String) -> Write {
    Write::Delete {
        table,
        key,
        expect: Expect::Any,
    }
}

fn decode(key: &str, record: &Record) -> Result<HostRow, StoreError> {
    HostRow::decode(record.value.clone()).map_err(|source| StoreError::Damaged {
        table: Table::Hosts,
        key: key.to_owned(),
        source,
    })
}
