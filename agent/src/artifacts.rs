//! Files by their digest: fetched from the controller once, kept while an assignment names them.
//!
//! A file is written as `<digest>.part`, from where an earlier fetch ended, and gets its name only when its digest is right.
//! Several askers of one digest share one fetch. Nothing else than these files lies in the folder.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use async_trait::async_trait;
use bytes::Bytes;
use camino::{Utf8Path, Utf8PathBuf};
use foundry_proto::Digest;
use foundry_proto::agent::v1::ArtifactRef;
use fs_err as fs;
use fs_err::tokio as afs;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::ledger::Ledger;
use crate::session::{ArtifactSink, Dialer, FetchError, fetch_artifact};
use crate::tasks::{ArtifactError, Artifacts};

/// Ending of a file that is not there whole.
const PART: &str = "part";

/// How often a fetch is taken up again where it broke off.
const MOST_TRIES: u32 = 5;

/// Fetches an artifact from somewhere.
#[async_trait]
pub trait Source: Send + Sync {
    /// The bytes from `offset` on; returns the size of the whole.
    async fn fetch(
        &self,
        digest: Digest,
        offset: u64,
        sink: &mut dyn ArtifactSink,
    ) -> Result<u64, FetchError>;
}

/// Fetches from the controller, over a connection of its own.
pub struct Controller {
    dialer: RwLock<Dialer>,
}

/// The folder of artifacts.
pub struct Cache {
    folder: Utf8PathBuf,
    source: Arc<dyn Source>,
    flights: Mutex<HashMap<Digest, Flight>>,
}

type Flight = Shared<BoxFuture<'static, Result<Utf8PathBuf, Arc<CacheError>>>>;

/// Why an artifact is not there.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Not 32 bytes.
    #[error("it has no digest")]
    NoDigest(#[source] foundry_proto::digest::DigestError),
    /// The source does not give it.
    #[error("it does not arrive")]
    Fetch(#[source] FetchError),
    /// The folder cannot be read or written.
    #[error("it cannot be kept")]
    Keep(#[source] io::Error),
    /// What came is something else.
    #[error("what arrived has the digest {found}")]
    Other {
        /// The digest of what came.
        found: Digest,
    },
}

// === impl Controller ===

impl Controller {
    /// The controller that is dialled so.
    pub fn new(dialer: Dialer) -> Self {
        Self {
            dialer: RwLock::new(dialer),
        }
    }

    /// Dials these addresses from now on.
    pub fn set_addresses(&self, addresses: Vec<String>) {
        self.dialer
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .addresses = addresses;
    }
}

#[async_trait]
impl Source for Controller {
    async fn fetch(
        &self,
        digest: Digest,
        offset: u64,
        sink: &mut dyn ArtifactSink,
    ) -> Result<u64, FetchError> {
        let dialer = self
            .dialer
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        fetch_artifact(&dialer, digest, offset, sink).await
    }
}

// === impl Cache ===

impl Cache {
    /// The cache in this folder, which is made.
    pub fn open(folder: Utf8PathBuf, source: Arc<dyn Source>) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        Ok(Self {
            folder,
            source,
            flights: Mutex::default(),
        })
    }

    /// The path of the artifact, once it is there whole.
    pub async fn get(&self, digest: Digest) -> Result<Utf8PathBuf, Arc<CacheError>> {
        let flight = {
            let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
            flights.retain(|_, flight| flight.peek().is_none());
            let start = || {
                let (folder, source) = (self.folder.clone(), Arc::clone(&self.source));
                async move { obtain(&folder, &*source, digest).await.map_err(Arc::new) }
                    .boxed()
                    .shared()
            };
            flights.entry(digest).or_insert_with(start).clone()
        };
        flight.await
    }

    /// Removes what no assignment in the ledger names, whole or in part, unless it is being fetched.
    pub fn prune(&self, named: &BTreeSet<Digest>) -> io::Result<()> {
        for entry in self.folder.read_dir_utf8()? {
            let entry = entry?;
            let digest = entry
                .path()
                .file_stem()
                .and_then(|stem| stem.parse::<Digest>().ok());
            let needed = digest.is_some_and(|digest| {
                let flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
                named.contains(&digest) || flights.contains_key(&digest)
            });
            if !needed {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Artifacts for Cache {
    async fn fetch(&self, artifact: &ArtifactRef) -> Result<Utf8PathBuf, ArtifactError> {
        let digest = Digest::try_from(&artifact.digest)
            .map_err(|error| ArtifactError::new(artifact, CacheError::NoDigest(error)))?;
        self.get(digest)
            .await
            .map_err(|error| ArtifactError::new(artifact, error))
    }
}

/// The digests that the ledger's assignments name.
pub fn named(ledger: &Ledger) -> BTreeSet<Digest> {
    ledger
        .records()
        .flat_map(|record| {
            let wanted = record.assignment().map(|assignment| assignment.tasks);
            let there = [
                record.achieved_tasks.clone(),
                record.attempted_tasks.clone(),
            ]
            .concat();
            wanted.unwrap_or_default().into_iter().chain(there)
        })
        .flat_map(|task| artifacts_of(&task))
        .filter_map(|artifact| Digest::try_from(&artifact.digest).ok())
        .collect()
}

fn artifacts_of(task: &foundry_proto::agent::v1::Task) -> Vec<ArtifactRef> {
    use foundry_proto::agent::v1::{file, image, task::Kind};
    match &task.kind {
        Some(Kind::File(file)) => match &file.content {
            Some(file::Content::Artifact(artifact)) => vec![artifact.clone()],
            Some(file::Content::Inline(_)) | None => Vec::new(),
        },
        Some(Kind::Image(image)) => match &image.source {
            Some(image::Source::Archive(artifact)) => vec![artifact.clone()],
            Some(image::Source::Pull(_)) | None => Vec::new(),
        },
        Some(Kind::K3sNode(node)) => {
            let parts = [&node.binary, &node.install_script, &node.airgap_images];
            parts.into_iter().flatten().cloned().collect()
        }
        Some(
            Kind::Directory(_)
            | Kind::Unit(_)
            | Kind::ContainerService(_)
            | Kind::Package(_)
            | Kind::Command(_),
        )
        | None => Vec::new(),
    }
}

async fn obtain(
    folder: &Utf8Path,
    source: &dyn Source,
    digest: Digest,
) -> Result<Utf8PathBuf, CacheError> {
    let whole = folder.join(digest.to_string());
    if afs::try_exists(&whole).await.map_err(CacheError::Keep)? {
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
                afs::remove_file(&part).await.map_err(CacheError::Keep)?;
                if offset == 0 {
                    return Err(CacheError::Other { found });
                }
            }
            Err(error) if tries >= MOST_TRIES => return Err(CacheError::Fetch(error)),
            // It broke off after some progress: go on from there.
            Err(_) if download.length > offset => {}
            // What is there does not fit what the source has: begin anew.
            Err(FetchError::Size { .. }) if offset > 0 => {
                afs::remove_file(&part).await.map_err(CacheError::Keep)?;
            }
            Err(error) => return Err(CacheError::Fetch(error)),
        }
    }
    afs::rename(&part, &whole).await.map_err(CacheError::Keep)?;
    Ok(whole)
}

/// A file that grows, and the digest of what it holds.
struct Download {
    file: afs::File,
    hash: Sha256,
    length: u64,
}

// === impl Download ===

impl Download {
    /// Takes up what is there of the file.
    async fn resume(path: &Utf8Path) -> io::Result<Self> {
        let mut options = afs::OpenOptions::new();
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
