//! Runs, and what happened in each.

use std::sync::Arc;

use foundry_proto::operator::v1::{Run, RunEvent};
use prost::Message as _;

use super::{Expect, Log, Range, Store, StoreError, Table, Write};

/// Runs by id.
#[derive(Clone)]
pub struct Runs {
    store: Arc<dyn Store>,
}

// === impl Runs ===

impl Runs {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Keeps a run as it is now.
    pub async fn put(&self, run: &Run) -> Result<(), StoreError> {
        self.store.write(vec![self.putting(run)]).await.map(|_| ())
    }

    /// The change of [`Self::put`], to be carried out with others.
    pub fn putting(&self, run: &Run) -> Write {
        Write::Put {
            table: Table::Runs,
            key: run.id.clone(),
            value: run.encode_to_vec().into(),
            expect: Expect::Any,
        }
    }

    /// A run.
    pub async fn get(&self, id: &str) -> Result<Option<Run>, StoreError> {
        let record = self.store.get(Table::Runs, id).await?;
        record.map(|record| decode(id, record.value)).transpose()
    }

    /// All runs that are kept, the newest first.
    pub async fn list(&self) -> Result<Vec<Run>, StoreError> {
        let records = self.store.list(Table::Runs, "").await?;
        let mut runs = records
            .into_iter()
            .map(|(key, record)| decode(&key, record.value))
            .collect::<Result<Vec<_>, _>>()?;
        runs.sort_by(|a, b| (b.started_ms, &b.id).cmp(&(a.started_ms, &a.id)));
        Ok(runs)
    }

    /// Forgets runs that started before this, in milliseconds since 1970.
    pub async fn trim(&self, since_ms: u64) -> Result<(), StoreError> {
        let old = self
            .list()
            .await?
            .into_iter()
            .filter(|run| run.started_ms < since_ms);
        let batch = old
            .map(|run| Write::Delete {
                table: Table::Runs,
                key: run.id,
                expect: Expect::Any,
            })
            .collect();
        self.store.write(batch).await.map(|_| ())
    }

    /// Appends what happened in a run; the number that it got.
    pub async fn append(&self, run: &str, event: &RunEvent) -> Result<u64, StoreError> {
        let numbers = self.store.write(vec![self.appending(run, event)]).await?;
        Ok(numbers.first().copied().unwrap_or_default())
    }

    /// The change of [`Self::append`], to be carried out with others.
    pub fn appending(&self, run: &str, event: &RunEvent) -> Write {
        Write::Append {
            log: Log::Runs,
            topic: run.to_owned(),
            at_ms: event.at_ms,
            value: event.encode_to_vec().into(),
        }
    }

    /// What happened in a run after the event of this number, oldest first.
    pub async fn events(&self, run: &str, after: u64) -> Result<Vec<RunEvent>, StoreError> {
        let range = Range {
            topics: vec![run.to_owned()],
            after,
            most: 0,
        };
        let entries = self.store.read(Log::Runs, range).await?;
        let events = entries.into_iter().filter_map(|entry| {
            let event = RunEvent::decode(entry.value).ok()?;
            Some(RunEvent {
                number: entry.number,
                ..event
            })
        });
        Ok(events.collect())
    }
}

fn decode(key: &str, value: bytes::Bytes) -> Result<Run, StoreError> {
    Run::decode(value).map_err(|source| StoreError::Damaged {
        table: Table::Runs,
        key: key.to_owned(),
        source,
    })
}
