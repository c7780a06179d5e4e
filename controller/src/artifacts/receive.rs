//! A file on its way in.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use foundry_proto::Digest;
use sha2::{Digest as _, Sha256};
use tempfile::TempPath;
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;

use super::{ArtifactError, PARTIAL};

/// A file on its way in; dropped before [`Self::finish`], nothing of it stays.
pub struct Receiving {
    file: File,
    partial: TempPath,
    place: Utf8PathBuf,
    dir: Utf8PathBuf,
    digest: Digest,
    size: u64,
    received: u64,
    hash: Sha256,
}

// === impl Receiving ===

impl Receiving {
    pub(super) async fn start(
        dir: &Utf8Path,
        place: Utf8PathBuf,
        digest: Digest,
        size: u64,
    ) -> Result<Self, ArtifactError> {
        let made = tempfile::Builder::new().prefix(PARTIAL).tempfile_in(dir);
        let (file, partial) = made
            .map_err(|source| ArtifactError::Io {
                action: "start to receive",
                digest,
                source,
            })?
            .into_parts();
        Ok(Self {
            file: File::from_std(file),
            partial,
            place,
            dir: dir.to_owned(),
            digest,
            size,
            received: 0,
            hash: Sha256::new(),
        })
    }

    /// The next piece. More than was announced is refused before it is written.
    pub async fn write(&mut self, data: &[u8]) -> Result<(), ArtifactError> {
        self.received += data.len() as u64;
        if self.received > self.size {
            return Err(self.wrong_size());
        }
        self.hash.update(data);
        let written = self.file.write_all(data).await;
        written.map_err(|source| self.failed("write", source))
    }

    /// That was all: checks it, brings it to the disk and gives it its name.
    pub async fn finish(mut self) -> Result<(), ArtifactError> {
        if self.received != self.size {
            return Err(self.wrong_size());
        }
        let found = Digest::from(<[u8; 32]>::from(self.hash.clone().finalize()));
        if found != self.digest {
            return Err(ArtifactError::Digest {
                expected: self.digest,
                found,
            });
        }
        let synced = match self.file.flush().await {
            Ok(()) => self.file.sync_all().await,
            failed => failed,
        };
        synced.map_err(|source| self.failed("write", source))?;
        let Self {
            partial,
            place,
            dir,
            digest,
            ..
        } = self;
        partial
            .persist(&place)
            .map_err(|error| error.error)
            .and_then(|()| crate::state::sync_dir(&dir))
            .map_err(|source| ArtifactError::Io {
                action: "keep",
                digest,
                source,
            })
    }

    fn wrong_size(&self) -> ArtifactError {
        let (expected, found) = (self.size, self.received);
        ArtifactError::Size {
            digest: self.digest,
            expected,
            found,
        }
    }

    fn failed(&self, action: &'static str, source: io::Error) -> ArtifactError {
        ArtifactError::Io {
            action,
            digest: self.digest,
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;
    use foundry_proto::Digest;

    use super::super::{ArtifactError, Artifacts};

    async fn put(
        artifacts: &Artifacts,
        digest: Digest,
        size: u64,
        data: &[u8],
    ) -> Result<(), ArtifactError> {
        let mut receiving = artifacts.receive(digest, size).await?;
        for piece in data.chunks(3) {
            receiving.write(piece).await?;
        }
        receiving.finish().await
    }

    #[tokio::test]
    async fn a_file_is_there_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(dir.path()).unwrap();
        let artifacts = Artifacts::open(path).unwrap();
        let (digest, other) = (Digest::of(b"content"), Digest::of(b"other"));

        put(&artifacts, other, 7, b"content").await.unwrap_err();
        put(&artifacts, digest, 6, b"content").await.unwrap_err();
        put(&artifacts, digest, 8, b"content").await.unwrap_err();
        assert_eq!(fs_err::read_dir(path).unwrap().count(), 0);

        put(&artifacts, digest, 7, b"content").await.unwrap();
        let there = artifacts.get(&digest).unwrap();
        assert_eq!(fs_err::read(there).unwrap(), b"content");
        assert_eq!(artifacts.get(&other), None);
    }

    #[tokio::test]
    async fn what_was_left_half_received_goes_at_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(dir.path()).unwrap();
        fs_err::write(path.join(".partial-x"), b"half").unwrap();
        fs_err::write(path.join("kept"), b"whole").unwrap();
        Artifacts::open(path).unwrap();
        assert!(!path.join(".partial-x").exists() && path.join("kept").exists());
    }
}
