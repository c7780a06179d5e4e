//! Files by their digest: fetched from the controller once, kept while an assignment names them.
//!
//! A file is written as `<digest>.part`, from where an earlier fetch ended, and gets its name only when its digest is right.
//! Several askers of one digest share one fetch. Nothing else than these files lies in the folder.

mod download;
mod named;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use async_trait::async_trait;
use camino::Utf8PathBuf;
use foundry_proto::Digest;
use foundry_proto::agent::v1::ArtifactRef;
use fs_err as fs;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};

use download::obtain;
pub use named::named;

use crate::session::{ArtifactSink, Dialer, FetchError, fetch_artifact};
use crate::tasks::{ArtifactError, Artifacts};

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
        let mut needed = named.clone();
        {
            let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
            flights.retain(|_, flight| flight.peek().is_none());
            needed.extend(flights.keys());
        }
        for entry in self.folder.read_dir_utf8()? {
            let entry = entry?;
            let digest = entry.path().file_stem().and_then(|stem| stem.parse().ok());
            if !digest.is_some_and(|digest| needed.contains(&digest)) {
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
