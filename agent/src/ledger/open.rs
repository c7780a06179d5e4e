//! Opening the ledger: what can be read is taken, what cannot is set aside.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use foundry_proto::AssignmentName;
use foundry_proto::agent::v1::{Lost, event::Body};
use fs_err as fs;

use super::frame::{self, FrameError};
use super::journal::{self, Journal};
use super::meta::Meta;
use super::record::Record;
use super::{Ledger, LedgerError, Stamp, Unacknowledged};

/// The file about the ledger itself.
pub(super) const META: &str = "ledger";
const JOURNAL: &str = "journal";
const LOCK: &str = "lock";
const RECORD_SUFFIX: &str = ".assignment";

/// Damaged files of one name that are kept to be looked at; the newest stay.
const MOST_DAMAGED: u32 = 8;

/// The file of an assignment. Names hold no underscore, so no two share one.
pub(super) fn record_file(name: &str) -> String {
    format!("{}{RECORD_SUFFIX}", name.replace('/', "_"))
}

impl Ledger {
    /// Opens the ledger in this folder, or begins one with this id. What is damaged is set aside and reported as lost.
    pub fn open(folder: &Utf8Path, new_id: &str, now: &Stamp) -> Result<Self, LedgerError> {
        make_folder(folder).map_err(LedgerError::Write)?;
        let lock = lock(folder)?;
        let mut damage = Vec::new();
        let meta = read_meta(folder, &mut damage)?;
        let records = read_records(folder, &mut damage)?;
        let journal = read_journal(folder, &mut damage)?;

        let pending = || {
            records
                .values()
                .flat_map(|r| &r.pending)
                .chain(journal.pending())
        };
        let begun = meta.is_none();
        let meta = meta.unwrap_or_else(|| Meta {
            id: new_id.to_owned(),
            // What is left of an older ledger keeps its numbers, under the new id.
            reserved_through: pending().map(|p| p.event.number).max().unwrap_or(0),
            ..Meta::default()
        });
        let unacknowledged = Arc::new(Unacknowledged::default());
        pending()
            .filter(|pending| pending.event.number > meta.acknowledged_through)
            .for_each(|pending| unacknowledged.push(pending.clone()));
        let mut ledger = Self {
            folder: folder.to_owned(),
            next_number: meta.reserved_through + 1,
            meta,
            records,
            journal,
            unwritten: BTreeSet::new(),
            unacknowledged,
            shown: Box::new(|_| {}),
            _lock: lock,
        };
        if begun {
            ledger.write_meta(now)?;
        }
        for what in damage {
            tracing::error!(what, "the ledger is damaged");
            ledger.report("", 0, Body::Lost(Lost { what }), now)?;
        }
        Ok(ledger)
    }
}

fn make_folder(folder: &Utf8Path) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
}

fn lock(folder: &Utf8Path) -> Result<fs::File, LedgerError> {
    use rustix::fs::{FlockOperation, flock};
    let path = folder.join(LOCK);
    let file = fs::File::create(&path).map_err(LedgerError::Write)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(LedgerError::Busy { path }),
        Err(error) => Err(LedgerError::Write(error.into())),
    }
}

fn read_meta(folder: &Utf8Path, damage: &mut Vec<String>) -> Result<Option<Meta>, LedgerError> {
    let path = folder.join(META);
    let Some(bytes) = read(&path)? else {
        return Ok(None);
    };
    match whole(&path, &bytes)?.and_then(decode::<Meta>) {
        Ok(meta) => Ok(Some(meta)),
        Err(error) => {
            damage.push(set_aside(&path, "the ledger's own file", &error)?);
            Ok(None)
        }
    }
}

fn read_records(
    folder: &Utf8Path,
    damage: &mut Vec<String>,
) -> Result<BTreeMap<String, Record>, LedgerError> {
    let mut records = BTreeMap::new();
    for entry in folder.read_dir_utf8().map_err(LedgerError::Read)? {
        let entry = entry.map_err(LedgerError::Read)?;
        let Some(stem) = entry.file_name().strip_suffix(RECORD_SUFFIX) else {
            remove_if_unfinished(entry.path());
            continue;
        };
        let path = entry.path();
        let Some(bytes) = read(path)? else { continue };
        let record = whole(path, &bytes)?
            .and_then(decode::<Record>)
            .and_then(|r| {
                let known = r.name.parse::<AssignmentName>().is_ok();
                if known && record_file(&r.name) == entry.file_name() {
                    Ok(r)
                } else {
                    Err("it is of another assignment".to_owned())
                }
            });
        match record {
            Ok(record) => {
                records.insert(record.name.clone(), record);
            }
            Err(error) => {
                let what = format!("the record of assignment {}", stem.replace('_', "/"));
                damage.push(set_aside(path, &what, &error)?);
            }
        }
    }
    Ok(records)
}

fn read_journal(folder: &Utf8Path, damage: &mut Vec<String>) -> Result<Journal, LedgerError> {
    let path = folder.join(JOURNAL);
    let bytes = read(&path)?.unwrap_or_default();
    let found = journal::read(&bytes);
    match &found.damage {
        Some(FrameError::TooNew(version)) => return Err(too_new(&path, *version)),
        Some(error) => {
            damage.push(set_aside(
                &path,
                "the end of the journal of events",
                &error.to_string(),
            )?);
            crate::config::write_atomically(&path, 0o600, &bytes[..found.good])
                .map_err(LedgerError::Write)?;
        }
        None => {}
    }
    Ok(Journal::new(path, &found))
}

fn read(path: &Utf8Path) -> Result<Option<Vec<u8>>, LedgerError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LedgerError::Read(error)),
    }
}

/// The body of a file that is one frame. The outer error stops the agent, the inner one is damage.
fn whole<'a>(path: &Utf8Path, bytes: &'a [u8]) -> Result<Result<&'a [u8], String>, LedgerError> {
    match frame::decode(bytes) {
        Ok((body, [])) => Ok(Ok(body)),
        Ok(_) => Ok(Err("something follows it".to_owned())),
        Err(FrameError::TooNew(version)) => Err(too_new(path, version)),
        Err(error) => Ok(Err(error.to_string())),
    }
}

fn decode<M: prost::Message + Default>(body: &[u8]) -> Result<M, String> {
    M::decode(body).map_err(|error| error.to_string())
}

fn too_new(path: &Utf8Path, version: u16) -> LedgerError {
    LedgerError::TooNew {
        path: path.to_owned(),
        version,
        known: frame::VERSION,
    }
}

/// Renames the file to `<file>.damaged-<n>` and says so.
fn set_aside(path: &Utf8Path, what: &str, why: &str) -> Result<String, LedgerError> {
    let name = |n: u32| Utf8PathBuf::from(format!("{path}.damaged-{n}"));
    let free = (1..=MOST_DAMAGED)
        .find(|n| !name(*n).exists())
        .unwrap_or(MOST_DAMAGED);
    let aside = name(free);
    fs::rename(path, &aside).map_err(LedgerError::Write)?;
    Ok(format!("{what} is damaged ({why}); set aside as {aside}"))
}

/// A file that was being written when the agent ended.
fn remove_if_unfinished(path: &Utf8Path) {
    let unfinished = path
        .file_name()
        .is_some_and(|n| n.starts_with('.') && n.ends_with(".new"));
    if unfinished && let Err(error) = fs::remove_file(path) {
        tracing::warn!(%error, "cannot remove an unfinished file");
    }
}
