//! The ledger: what the agent must still know after a crash of it, or of its host.
//!
//! A folder (0700) with one file per assignment ([`Record`]: what was accepted, how far it came, what may be on the host,
//! which of its events wait), a journal of the events that belong to no assignment, and a file about the ledger itself.
//! Files are replaced whole (written beside, synced, renamed, the folder synced) and carry a version and a checksum;
//! the journal is appended to, and a tail that was cut off is dropped.
//!
//! Invariants:
//! * A revision and its outcome's event are written by the same rename: there is never one without the other, and never a
//!   second outcome.
//! * Event numbers are never given out twice: they come in blocks that are reserved durably beforehand.
//! * Damage is set aside under another name and reported as an event; it never stops the agent. A format newer than this
//!   agent's does: to overwrite it would lose what it says.
//! * Everything is bounded: assignments, their size, and events that nobody acknowledges.
//!
//! [`Ledger`] is plain blocking code; [`Keeper`] owns it on a thread of its own and is what the rest of the agent uses.

mod events;
mod frame;
mod journal;
mod keeper;
mod meta;
mod open;
mod record;
mod stamp;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use foundry_proto::agent::v1::{Event, event::Body};
use prost::Message as _;

pub use events::Unacknowledged;
use journal::Journal;
pub use keeper::{Keeper, KeeperGone};
use meta::Meta;
pub use record::{Pending, Record};
pub(crate) use stamp::millis;
pub use stamp::{Stamp, Times};

use crate::config::write_atomically;
use crate::error_chain::ErrorChain;

/// The most assignments, removed ones included, that one host keeps.
pub const MOST_ASSIGNMENTS: usize = 512;

/// The most events of no assignment that are kept durably.
const MOST_REPORTS: usize = 256;

/// How many event numbers are reserved at a time.
const NUMBER_BLOCK: u64 = 1024;

/// The most events of one assignment that are kept for a controller that acknowledges none.
const MOST_PENDING: usize = 64;

/// The open ledger.
pub struct Ledger {
    folder: Utf8PathBuf,
    meta: Meta,
    records: BTreeMap<String, Record>,
    journal: Journal,
    next_number: u64,
    /// Records that stand in memory only, because the disk took nothing.
    unwritten: BTreeSet<String>,
    unacknowledged: Arc<Unacknowledged>,
    /// Is shown each record before its events are handed out.
    shown: Box<dyn Fn(&Record) + Send>,
    _lock: fs_err::File,
}

/// What goes wrong with the ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// It cannot be read.
    #[error("cannot read the ledger")]
    Read(#[source] io::Error),
    /// It cannot be written.
    #[error("cannot write the ledger")]
    Write(#[source] io::Error),
    /// A newer agent wrote it.
    #[error(
        "{path} was written by a newer agent, in format {version}; this one reads up to {known}"
    )]
    TooNew {
        /// The file.
        path: Utf8PathBuf,
        /// Its format.
        version: u16,
        /// The newest that this agent reads.
        known: u16,
    },
    /// Another agent has it open.
    #[error("another agent runs on this host: it holds {path}")]
    Busy {
        /// The lock.
        path: Utf8PathBuf,
    },
}

// === impl Ledger ===

impl Ledger {
    /// The ledger's random id.
    pub fn id(&self) -> &str {
        &self.meta.id
    }

    /// The store that the agent last spoke with; empty at first.
    pub fn store_id(&self) -> &str {
        &self.meta.store_id
    }

    /// The latest time that this host has seen, in milliseconds since 1970.
    pub fn newest_time_ms(&self) -> u64 {
        self.meta.newest_time_ms
    }

    /// The events that wait for their acknowledgement.
    pub fn unacknowledged(&self) -> &Arc<Unacknowledged> {
        &self.unacknowledged
    }

    /// All records, by name.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    /// The record of this assignment.
    pub fn record(&self, name: &str) -> Option<&Record> {
        self.records.get(name)
    }

    /// From now on each record is shown as it is written; those that are there, at once.
    pub fn show_to(&mut self, shown: impl Fn(&Record) + Send + 'static) {
        self.records.values().for_each(&shown);
        self.shown = Box::new(shown);
    }

    /// Notes with which store the agent speaks.
    pub fn set_store(&mut self, store_id: &str, now: &Stamp) -> Result<(), LedgerError> {
        if self.meta.store_id == store_id {
            return Ok(());
        }
        store_id.clone_into(&mut self.meta.store_id);
        self.write_meta(now)
    }

    /// Writes the record, together with these events of it, and hands the events out. All or nothing.
    pub fn commit(
        &mut self,
        mut record: Record,
        events: Vec<(u64, Body)>,
        now: &Stamp,
    ) -> Result<(), LedgerError> {
        let acknowledged = self.meta.acknowledged_through;
        record
            .pending
            .retain(|pending| pending.event.number > acknowledged);
        let mut fresh = Vec::with_capacity(events.len());
        for (revision, body) in events {
            let event = self.number(&record.name, revision, body, now)?;
            fresh.push(Pending {
                event,
                at: now.clone(),
            });
        }
        record.pending.extend(fresh.iter().cloned());
        let excess = record.pending.len().saturating_sub(MOST_PENDING);
        record.pending.drain(..excess);
        self.write(&self.record_path(&record.name), &record.encode_to_vec())?;
        self.unwritten.remove(&record.name);
        self.take(record, fresh);
        Ok(())
    }

    /// As [`Ledger::commit`], but it also holds, until the agent ends, where the disk takes nothing more. It is written as
    /// soon as the disk does.
    pub fn commit_anyway(&mut self, record: Record, events: Vec<(u64, Body)>, now: &Stamp) {
        let Err(error) = self.commit(record.clone(), events.clone(), now) else {
            return;
        };
        tracing::error!(error = %ErrorChain(&error), assignment = record.name, "kept in memory");
        let mut record = record;
        let mut fresh = Vec::with_capacity(events.len());
        for (revision, body) in events {
            // Without a reserved number an event cannot be told from others: it waits for its number in vain.
            let Ok(event) = self.number(&record.name, revision, body, now) else {
                continue;
            };
            fresh.push(Pending {
                event,
                at: now.clone(),
            });
        }
        record.pending.extend(fresh.iter().cloned());
        self.unwritten.insert(record.name.clone());
        self.take(record, fresh);
    }

    /// Tries to write what the disk did not take before.
    pub fn catch_up(&mut self, now: &Stamp) -> Result<(), LedgerError> {
        for name in self.unwritten.clone() {
            if let Some(record) = self.records.get(&name).cloned() {
                self.commit(record, Vec::new(), now)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, record: Record, fresh: Vec<Pending>) {
        (self.shown)(&record);
        self.records.insert(record.name.clone(), record);
        fresh
            .into_iter()
            .for_each(|pending| self.unacknowledged.push(pending));
    }

    /// Whether another event of no assignment would still be kept durably.
    pub fn has_room_for_reports(&self) -> bool {
        self.journal.pending().len() < MOST_REPORTS
    }

    /// Keeps an event that belongs to no record until it is acknowledged, and hands it out.
    pub fn report(
        &mut self,
        assignment: &str,
        revision: u64,
        body: Body,
        now: &Stamp,
    ) -> Result<u64, LedgerError> {
        let event = self.number(assignment, revision, body, now)?;
        let number = event.number;
        let pending = Pending {
            event,
            at: now.clone(),
        };
        self.journal
            .append(pending.clone())
            .map_err(LedgerError::Write)?;
        self.unacknowledged.push(pending);
        Ok(number)
    }

    /// Writes the record without any event.
    pub fn note(&mut self, record: Record, now: &Stamp) -> Result<(), LedgerError> {
        self.commit(record, Vec::new(), now)
    }

    /// Hands out an event that may be lost with the agent: how a task went.
    pub fn mention(
        &mut self,
        assignment: &str,
        revision: u64,
        body: Body,
        now: &Stamp,
    ) -> Result<(), LedgerError> {
        let event = self.number(assignment, revision, body, now)?;
        self.unacknowledged.push(Pending {
            event,
            at: now.clone(),
        });
        Ok(())
    }

    /// The controller has stored everything up to this number.
    pub fn acknowledge(&mut self, through: u64) -> Result<(), LedgerError> {
        let through = through.min(self.next_number.saturating_sub(1));
        if through <= self.meta.acknowledged_through {
            return Ok(());
        }
        // In memory only: it is written with the next block of numbers, or at the end. Until then a crash means that some
        // events are sent once more, and the controller knows them by their numbers.
        self.meta.acknowledged_through = through;
        self.unacknowledged.forget(through);
        for record in self.records.values_mut() {
            record
                .pending
                .retain(|pending| pending.event.number > through);
        }
        self.journal.forget(through).map_err(LedgerError::Write)
    }

    /// Forgets the oldest removed assignments beyond this many.
    pub fn prune_removed(&mut self, most: usize) -> Result<(), LedgerError> {
        let mut removed: Vec<(u64, String)> = self
            .records
            .values()
            .filter(|record| record.is_gone() && record.pending.is_empty())
            .map(|record| {
                (
                    record.accepted.as_ref().map_or(0, |at| at.wall_ms),
                    record.name.clone(),
                )
            })
            .collect();
        removed.sort();
        let excess = removed.len().saturating_sub(most);
        for (_, name) in removed.drain(..excess) {
            fs_err::remove_file(self.record_path(&name)).map_err(LedgerError::Write)?;
            self.records.remove(&name);
        }
        Ok(())
    }

    /// Writes down what is only known in memory.
    pub fn close(&mut self, now: &Stamp) -> Result<(), LedgerError> {
        self.write_meta(now)
    }

    fn number(
        &mut self,
        assignment: &str,
        revision: u64,
        body: Body,
        now: &Stamp,
    ) -> Result<Event, LedgerError> {
        let number = self.next_number;
        if number > self.meta.reserved_through {
            let before = self.meta.reserved_through;
            self.meta.reserved_through = number + NUMBER_BLOCK;
            self.write_meta(now)
                .inspect_err(|_| self.meta.reserved_through = before)?;
        }
        self.next_number += 1;
        let assignment = assignment.to_owned();
        Ok(Event {
            number,
            age_ms: 0,
            assignment,
            revision,
            body: Some(body),
        })
    }

    fn write_meta(&mut self, now: &Stamp) -> Result<(), LedgerError> {
        self.meta.newest_time_ms = self.meta.newest_time_ms.max(now.wall_ms);
        self.write(&self.folder.join(open::META), &self.meta.encode_to_vec())
    }

    fn write(&self, path: &Utf8Path, body: &[u8]) -> Result<(), LedgerError> {
        write_atomically(path, 0o600, &frame::encode(body)).map_err(LedgerError::Write)
    }

    fn record_path(&self, name: &str) -> Utf8PathBuf {
        self.folder.join(open::record_file(name))
    }
}
