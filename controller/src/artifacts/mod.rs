//! Files by their SHA-256: what hosts fetch.
//!
//! A file is there whole under its digest, or not at all: it is received under another name, checked, brought to the disk
//! and renamed. A name says what is in it, so a file that is there is never written again.

mod named;
mod receive;

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use foundry_proto::Digest;

pub use receive::Receiving;

pub(crate) use named::artifacts_of;

/// Files being received are named so until they are whole.
const PARTIAL: &str = ".partial-";

/// The fleet's folder of artifacts.
#[derive(Debug, Clone)]
pub struct Artifacts {
    dir: Utf8PathBuf,
}

/// Why a file was not kept.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// It is not what it was said to be.
    #[error("the content of artifact {} has the digest {}", expected.short(), found.short())]
    Digest {
        /// As announced.
        expected: Digest,
        /// As received.
        found: Digest,
    },
    /// More or less came than announced.
    #[error("artifact {} has {found} bytes, not the {expected} announced", digest.short())]
    Size {
        /// Which.
        digest: Digest,
        /// As announced.
        expected: u64,
        /// As received.
        found: u64,
    },
    /// The disk, for example, is full; the cause names the file.
    #[error("cannot {action} artifact {}", digest.short())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Which.
        digest: Digest,
        /// Why.
        #[source]
        source: io::Error,
    },
}

// === impl Artifacts ===

impl Artifacts {
    /// Over this folder, which is made where it is missing. What was left half received is taken away.
    pub fn open(dir: &Utf8Path) -> io::Result<Self> {
        fs_err::create_dir_all(dir)?;
        for entry in fs_err::read_dir(dir)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
                fs_err::remove_file(entry.path())?;
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
        })
    }

    /// The file of this digest, where it is there.
    pub fn get(&self, digest: &Digest) -> Option<Utf8PathBuf> {
        let path = self.path(digest);
        path.is_file().then_some(path)
    }

    /// Starts to receive a file.
    pub async fn receive(&self, digest: Digest, size: u64) -> Result<Receiving, ArtifactError> {
        Receiving::start(&self.dir, self.path(&digest), digest, size).await
    }

    fn path(&self, digest: &Digest) -> Utf8PathBuf {
        self.dir.join(digest.to_string())
    }
}
