//! What happened in the fleet.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use foundry_proto::operator::v1::EventRecord;
use prost::Message as _;

use super::{Log, Range, Retention, Store, StoreError, Write};

/// How long events and runs are kept.
pub const RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);

/// How many events are kept: with the longest text that is taken, one GiB.
const MOST: u64 = 256 * 1024;
/// The longest text of an event, in bytes.
const LONGEST_TEXT: usize = 4096 - 256;
/// Old events are looked for once in so many.
const TRIM_EVERY: u64 = 4096;

/// The log of events.
#[derive(Clone)]
pub struct Events {
    store: Arc<dyn Store>,
    appended: Arc<AtomicU64>,
}

// === impl Events ===

impl Events {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            appended: Arc::new(AtomicU64::new(0)),
        }
    }

    /// Appends events; what is too old or too much is forgotten now and then.
    pub async fn append(&self, events: Vec<EventRecord>) -> Result<(), StoreError> {
        let now_ms = events
            .iter()
            .map(|event| event.at_ms)
            .max()
            .unwrap_or_default();
        let count = events.len() as u64;
        self.store
            .write(
                events
                    .into_iter()
                    .map(|event| self.appending(event))
                    .collect(),
            )
            .await?;
        self.appended(count, now_ms).await
    }

    /// The change that appends an event, to be carried out with others; [`Self::appended`] is to be called afterwards.
    pub fn appending(&self, mut event: EventRecord) -> Write {
        let mut end = event.text.len().min(LONGEST_TEXT);
        while !event.text.is_char_boundary(end) {
            end -= 1;
        }
        event.text.truncate(end);
        Write::Append {
            log: Log::Events,
            topic: event.host.clone(),
            at_ms: event.at_ms,
            value: event.encode_to_vec().into(),
        }
    }

    /// Counts what was appended; once in a while old events are forgotten.
    pub async fn appended(&self, count: u64, now_ms: u64) -> Result<(), StoreError> {
        let before = self.appended.fetch_add(count, Ordering::Relaxed);
        if before / TRIM_EVERY == (before + count) / TRIM_EVERY {
            return Ok(());
        }
        self.trim(now_ms).await
    }

    /// Forgets what is too old or too much.
    pub async fn trim(&self, now_ms: u64) -> Result<(), StoreError> {
        let age_ms = u64::try_from(RETENTION.as_millis()).unwrap_or(u64::MAX);
        let retention = Retention {
            since_ms: now_ms.saturating_sub(age_ms),
            entries: MOST,
        };
        self.store.trim(Log::Events, retention).await?;
        self.store.trim(Log::Runs, retention).await
    }

    /// Events, oldest first: those of these hosts (none: of all) with a higher number, the newest `most` of them (0: all).
    pub async fn read(
        &self,
        hosts: Vec<String>,
        after: u64,
        most: u32,
    ) -> Result<Vec<EventRecord>, StoreError> {
        let range = Range {
            topics: hosts,
            after,
            most,
        };
        let entries = self.store.read(Log::Events, range).await?;
        let events = entries.into_iter().filter_map(|entry| {
            let event = EventRecord::decode(entry.value).ok()?;
            Some(EventRecord {
                number: entry.number,
                ..event
            })
        });
        Ok(events.collect())
    }
}
