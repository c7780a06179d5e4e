//! What a task is given to work with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use camino::Utf8PathBuf;
use foundry_host::Host;
use foundry_proto::agent::v1::ArtifactRef;
use foundry_proto::{Digest, FleetId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What the tasks of one assignment are given.
#[derive(Clone)]
pub struct Context {
    /// The host.
    pub host: Arc<Host>,
    /// The fleet, for the labels of what we make.
    pub fleet: FleetId,
    /// Files by digest.
    pub artifacts: Arc<dyn Artifacts>,
    /// Where progress goes.
    pub progress: ProgressSink,
    /// Fires when the work should be given up at the next good point.
    pub cancel: CancellationToken,
}

/// Files by digest, fetched where they are not at hand.
#[async_trait]
pub trait Artifacts: Send + Sync {
    /// The path of the artifact, complete and with its digest verified. It stays while the returned path is in use by an
    /// apply.
    async fn fetch(&self, artifact: &ArtifactRef) -> Result<Utf8PathBuf, ArtifactError>;
}

/// An artifact could not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot fetch artifact {digest}")]
pub struct ArtifactError {
    /// Its digest, or what was given as one.
    pub digest: String,
    /// Why not.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Takes progress. Lossy: what finds no room is counted, and the count goes with the next one that does.
#[derive(Clone)]
pub struct ProgressSink {
    out: Option<mpsc::Sender<TaskProgress>>,
    dropped: Arc<AtomicU64>,
}

/// One line about a task at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskProgress {
    /// The task's id.
    pub task: String,
    /// What it does.
    pub text: String,
    /// How many such lines were dropped since the last.
    pub dropped: u64,
}

// === impl ArtifactError ===

impl ArtifactError {
    /// Of this artifact, for this reason.
    pub fn new(
        artifact: &ArtifactRef,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        let digest = Digest::try_from(&artifact.digest).map_or_else(
            |_| "without a digest".to_owned(),
            |digest| digest.to_string(),
        );
        Self {
            digest,
            source: source.into(),
        }
    }
}

// === impl ProgressSink ===

impl ProgressSink {
    /// Sends to this channel.
    pub fn new(out: mpsc::Sender<TaskProgress>) -> Self {
        Self {
            out: Some(out),
            dropped: Arc::default(),
        }
    }

    /// Takes everything and keeps nothing.
    pub fn none() -> Self {
        Self {
            out: None,
            dropped: Arc::default(),
        }
    }

    /// Says what the task does now.
    pub fn say(&self, task: &str, text: impl Into<String>) {
        let Some(out) = &self.out else { return };
        match out.try_reserve() {
            Ok(room) => room.send(TaskProgress {
                task: task.to_owned(),
                text: text.into(),
                dropped: self.dropped.swap(0, Ordering::Relaxed),
            }),
            Err(_) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
