//! Events that belong to no assignment's record: rejections, outcomes of jobs, losses. One file that only grows, and is
//! emptied when everything in it was acknowledged.

use std::io::{self, Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use prost::Message as _;

use super::frame::{self, FrameError};
use super::record::Pending;
use crate::config::write_atomically;

/// Beyond this size the file is rewritten with what is still unacknowledged.
const REWRITE_ABOVE: u64 = 256 * 1024;

/// The file and what in it still waits.
pub(super) struct Journal {
    path: Utf8PathBuf,
    length: u64,
    pending: Vec<Pending>,
}

/// What was found in the file.
pub(super) struct Read {
    pub(super) pending: Vec<Pending>,
    /// Length of the part that could be read.
    pub(super) good: usize,
    /// Why the rest could not; none: there is none, or it is an append that was cut off.
    pub(super) damage: Option<FrameError>,
}

// === impl Journal ===

impl Journal {
    /// The journal at this path, with what was read of it.
    pub(super) fn new(path: Utf8PathBuf, read: &Read) -> Self {
        let length = u64::try_from(read.good).unwrap_or_default();
        Self {
            path,
            length,
            pending: read.pending.clone(),
        }
    }

    /// What still waits, oldest first.
    pub(super) fn pending(&self) -> &[Pending] {
        &self.pending
    }

    /// Adds an event, durably.
    pub(super) fn append(&mut self, pending: Pending) -> io::Result<()> {
        let frame = frame::encode(&pending.encode_to_vec());
        let written = append(&self.path, self.length, &frame)?;
        self.length = written;
        self.pending.push(pending);
        Ok(())
    }

    /// Forgets what is numbered up to this.
    pub(super) fn forget(&mut self, through: u64) -> io::Result<()> {
        self.pending
            .retain(|pending| pending.event.number > through);
        if self.length > 0 && (self.pending.is_empty() || self.length > REWRITE_ABOVE) {
            let rest: Vec<u8> = self
                .pending
                .iter()
                .flat_map(|p| frame::encode(&p.encode_to_vec()))
                .collect();
            write_atomically(&self.path, 0o600, &rest)?;
            self.length = u64::try_from(rest.len()).unwrap_or_default();
        }
        Ok(())
    }
}

/// Reads as much as can be read.
pub(super) fn read(bytes: &[u8]) -> Read {
    let mut pending = Vec::new();
    let mut rest = bytes;
    let damage = loop {
        if rest.is_empty() {
            break None;
        }
        match frame::decode(rest) {
            Ok((body, after)) => {
                match Pending::decode(body) {
                    Ok(event) => pending.push(event),
                    Err(_) => break Some(FrameError::Checksum),
                }
                rest = after;
            }
            // An append that was cut off, by a crash or a full disk.
            Err(FrameError::Short) => break None,
            Err(error) => break Some(error),
        }
    };
    Read {
        pending,
        good: bytes.len() - rest.len(),
        damage,
    }
}

/// Writes at this offset, over whatever a failed append may have left there, and returns the new length.
fn append(path: &Utf8Path, offset: u64, frame: &[u8]) -> io::Result<u64> {
    let mut options = std::fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(options.append(true).create(true), 0o600);
    let mut file = fs::OpenOptions::from_options(options).open(path)?;
    if file.metadata()?.len() != offset {
        file.set_len(offset)?;
    }
    file.write_all(frame)?;
    file.sync_all()?;
    if offset == 0
        && let Some(folder) = path.parent()
    {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(offset + u64::try_from(frame.len()).unwrap_or_default())
}
