//! What the controller keeps: hosts, assignments, events, runs.
//!
//! [`Store`] is small on purpose: records under (table, key) with a version each, numbered logs, batches that happen whole or
//! not at all, and a watch. The typed repositories above it ([`Repositories`]) are all that the rest of the controller sees.
//! Behind it is SQLite now; nothing outside this module may assume that one process is all there is, so whoever changes
//! what it has read says which version it read ([`Expect`]).
//!
//! Assignments and keys are sealed whole ([`SealKey`]): the database without the fleet's `ca` folder gives no secrets and
//! takes no orders.

mod assignments;
mod error;
mod events;
mod holdings;
mod hosts;
mod ledgers;
mod meta;
mod runs;
mod seal;
mod sqlite;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::broadcast;

pub use assignments::{Assignments, Next, Wanted};
pub use error::StoreError;
pub use events::{Events, RETENTION};
pub use holdings::{HoldingRecord, Holdings};
pub use hosts::{HostRow, Hosts};
pub use ledgers::Ledgers;
pub use meta::{LeaseRow, Meta};
pub use runs::Runs;
pub use seal::SealKey;
pub use sqlite::Sqlite;

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Table {
    /// Single values: the store's id, the lease.
    Meta,
    /// Hosts by id.
    Hosts,
    /// Ids of hosts by hostname.
    Hostnames,
    /// What hosts should have, by host id and name; sealed.
    Assignments,
    /// What hosts last said that they have, by host id and name.
    Holdings,
    /// Runs by id.
    Runs,
    /// How far the events of a host's ledger are stored, by host id and ledger.
    Ledgers,
    /// When a host was last seen, by host id.
    Seen,
}

/// A numbered sequence that only grows at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Log {
    /// What happened in the fleet, by host.
    Events,
    /// What happened in runs, by run.
    Runs,
}

/// A value and how often it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The bytes.
    pub value: Bytes,
    /// Grows with each write of this key; starts at 1.
    pub version: u64,
}

/// What the writer believes is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Whatever is there.
    Any,
    /// Nothing is there.
    Absent,
    /// Exactly this version is there.
    Version(u64),
}

/// One change in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Put a record.
    Put {
        /// Where.
        table: Table,
        /// Under which key.
        key: String,
        /// The bytes.
        value: Bytes,
        /// What must be there before.
        expect: Expect,
    },
    /// Take a record away.
    Delete {
        /// Where.
        table: Table,
        /// Under which key.
        key: String,
        /// What must be there before.
        expect: Expect,
    },
    /// Append to a log.
    Append {
        /// To which.
        log: Log,
        /// What it is about: a host, a run.
        topic: String,
        /// When, in milliseconds since 1970.
        at_ms: u64,
        /// The bytes.
        value: Bytes,
    },
}

/// An entry of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number, unique in its log and growing.
    pub number: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// What it is about.
    pub topic: String,
    /// The bytes.
    pub value: Bytes,
}

/// Which entries of a log are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Range {
    /// Only those about these; empty: all.
    pub topics: Vec<String>,
    /// Only those with a higher number.
    pub after: u64,
    /// The newest this many of them; 0: all.
    pub most: u32,
}

/// What a batch changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A record was put or taken away.
    Record(Table, String),
    /// A log grew, up to this number.
    Appended(Log, u64),
}

/// How much of a log is kept: what exceeds any of these goes, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Nothing that happened before this, in milliseconds since 1970.
    pub since_ms: u64,
    /// No more than this many entries.
    pub entries: u64,
}

/// Durable records and logs.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The record under this key.
    async fn get(&self, table: Table, key: &str) -> Result<Option<Record>, StoreError>;

    /// The records whose keys start so, in order of their keys.
    async fn list(&self, table: Table, prefix: &str) -> Result<Vec<(String, Record)>, StoreError>;

    /// Carries out all of it or, with an error, nothing. It is on the disk when this returns. The numbers of what was
    /// appended, in order.
    async fn write(&self, batch: Vec<Write>) -> Result<Vec<u64>, StoreError>;

    /// Entries of a log, oldest first.
    async fn read(&self, log: Log, range: Range) -> Result<Vec<Entry>, StoreError>;

    /// Forgets old entries of a log.
    async fn trim(&self, log: Log, retention: Retention) -> Result<(), StoreError>;

    /// What changes from now on. A receiver that falls behind is told so and has to read again.
    fn watch(&self) -> broadcast::Receiver<Change>;
}

/// The typed view of a store.
#[derive(Clone)]
pub struct Repositories {
    /// Single values.
    pub meta: Meta,
    /// Hosts.
    pub hosts: Hosts,
    /// What hosts should have.
    pub assignments: Assignments,
    /// What hosts last said that they have.
    pub holdings: Holdings,
    /// How far the events of each host's ledger are stored.
    pub ledgers: Ledgers,
    /// What happened.
    pub events: Events,
    /// Runs.
    pub runs: Runs,
    store: Arc<dyn Store>,
}

// === impl Repositories ===

impl Repositories {
    /// Over this store, sealing with this key.
    pub fn new(store: Arc<dyn Store>, seal: SealKey) -> Self {
        let seal = Arc::new(seal);
        Self {
            meta: Meta::new(Arc::clone(&store)),
            hosts: Hosts::new(Arc::clone(&store), Arc::clone(&seal)),
            assignments: Assignments::new(Arc::clone(&store), seal),
            holdings: Holdings::new(Arc::clone(&store)),
            ledgers: Ledgers::new(Arc::clone(&store)),
            events: Events::new(Arc::clone(&store)),
            runs: Runs::new(Arc::clone(&store)),
            store,
        }
    }

    /// Carries out changes of several repositories as one.
    pub async fn write(&self, batch: Vec<Write>) -> Result<Vec<u64>, StoreError> {
        self.store.write(batch).await
    }

    /// What changes from now on.
    pub fn watch(&self) -> broadcast::Receiver<Change> {
        self.store.watch()
    }
}
