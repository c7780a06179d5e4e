//! One download, taken up where an earlier one ended.

use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use camino::{Utf8Path, Utf8PathBuf};
use foundry_proto::Digest;
use fs_err::tokio as fs;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{CacheError, Source};
use crate::session::{ArtifactSink, FetchError};

/// Ending of a file that is not there whole.
pub(super) const PART: &str = "part";

/// How often a fetch is taken up again where it broke off.
const MOST_TRIES: u32 = 5;

/// Has the artifact in the folder, and returns its path.
pub(super) async fn obtain(
    folder: &Utf8Path,
    source: &dyn Source,
    digest: Digest,
) -> Result<Utf8PathBuf, CacheError> {
    let whole = folder.join(digest.to_string());
    if fs::try_exists(&whole).await.map_err(CacheError::Keep)? {
        return Ok(whole);
    }
    let part = whole.with_extension(PART);
    let mut tries = 0;
    loop {
        tries += 1;
        let mut download = Download::resume(&part).await.map_err(CacheError::Keep)?;
        let offset = download.length;
        match source.fetch(digest, offset, &mut download).await {
            Ok(_) => {
                let found = download.finish().await.map_err(CacheError::Keep)?;
                if found == digest {
                    break;
                }
                // What an earlier fetch left may be to blame; a whole one that is wrong is the source's.
                fs::remove_file(&part).await.map_err(CacheError::Keep)?;
                if offset == 0 {
                    return Err(CacheError::Other { found });
                }
            }
            Err(error) if tries >= MOST_TRIES => return Err(CacheError::Fetch(error)),
            // It broke off after some progress: go on from there.
            Err(_) if download.length > offset => {}
            // What is there does not fit what the source has: begin anew.
            Err(FetchError::Size { .. }) if offset > 0 => {
                fs::remove_file(&part).await.map_err(CacheError::Keep)?;
            }
            Err(error) => return Err(CacheError::Fetch(error)),
        }
    }
    fs::rename(&part, &whole).await.map_err(CacheError::Keep)?;
    Ok(whole)
}

/// A file that grows, and the digest of what it holds.
struct Download {
    file: fs::File,
    hash: Sha256,
    length: u64,
}

// === impl Download ===

impl Download {
    /// Takes up what is there of the file.
    async fn resume(path: &Utf8Path) -> io::Result<Self> {
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .await?;
        let (mut hash, mut length) = (Sha256::new(), 0u64);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = file.read(&mut buffer).await?;
            if read == 0 {
                return Ok(Self { file, hash, length });
            }
            hash.update(&buffer[..read]);
            length += u64::try_from(read).unwrap_or_default();
        }
    }

    async fn finish(mut self) -> io::Result<Digest> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        Ok(Digest::from(<[u8; 32]>::from(self.hash.finalize())))
    }
}

#[async_trait]
impl ArtifactSink for Download {
    async fn total(&mut self, _bytes: u64) -> io::Result<()> {
        Ok(())
    }

    async fn write(&mut self, chunk: Bytes) -> io::Result<()> {
        self.file.write_all(&chunk).await?;
        self.hash.update(&chunk);
        self.length += u64::try_from(chunk.len()).unwrap_or_default();
        Ok(())
    }
}
