//! Container runtimes: images and containers. Containers are *run* by systemd units through the runtime's
//! own command-line program; what is here looks at them and clears away.

mod detect;
mod engine;
mod pulling;
mod reference;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};

pub use detect::HostRuntimes;
pub use reference::Reference;

/// The container runtimes of a host.
#[async_trait]
pub trait Runtimes: Send + Sync {
    /// The runtime to be used: Docker where it answers, else Podman. The choice is kept while it answers. Changes nothing.
    async fn chosen(&self) -> Result<Arc<dyn Containers>, ContainersError>;

    /// The same, where none answers after Podman's socket was enabled and opened, if Podman is installed.
    async fn prepare(&self) -> Result<Arc<dyn Containers>, ContainersError>;

    /// All that are installed, whether they answer or not. Nothing is started for it.
    async fn installed(&self) -> Vec<RuntimeInfo>;
}

/// A container runtime that answers.
#[async_trait]
pub trait Containers: Send + Sync {
    /// Which runtime, which version, where its program is.
    fn info(&self) -> &RuntimeInfo;

    /// The image of this reference, or of this id.
    async fn image(&self, reference: &str) -> Result<Option<ImageState>, ContainersError>;

    /// Pulls the image from its registry.
    async fn pull(&self, reference: &str, progress: ProgressFn<'_>) -> Result<(), ContainersError>;

    /// Loads an archive of `docker save`, or an OCI one, and returns the references or ids of what it held.
    async fn load(&self, archive: &Utf8Path) -> Result<Vec<String>, ContainersError>;

    /// Gives the image (a reference or an id) this name.
    async fn tag(&self, image: &str, reference: &str) -> Result<(), ContainersError>;

    /// Removes the image, unless a container uses it.
    async fn remove_image(&self, reference: &str) -> Result<(), ContainersError>;

    /// All containers, also those that do not run.
    async fn containers(&self) -> Result<Vec<ContainerState>, ContainersError>;

    /// Stops the container: SIGTERM, then SIGKILL after the grace. One that does not run, or is gone, is no error.
    async fn stop(&self, id: &str, grace: Duration) -> Result<(), ContainersError>;

    /// Removes the container, whether it runs or not, but not its volumes. One that is gone is no error.
    async fn remove(&self, id: &str) -> Result<(), ContainersError>;
}

/// Takes one line of progress.
pub type ProgressFn<'a> = &'a (dyn Fn(String) + Send + Sync);

/// The runtimes that foundry knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuntimeKind {
    /// Docker Engine.
    Docker,
    /// Podman.
    Podman,
}

/// A runtime as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeInfo {
    /// Which one.
    pub kind: RuntimeKind,
    /// Its version; empty where it does not answer.
    pub version: String,
    /// The API version that was agreed on; empty where it does not answer.
    pub api_version: String,
    /// Its command-line program; none: missing.
    pub cli: Option<Utf8PathBuf>,
    /// None: it answers. Else why it does not.
    pub trouble: Option<String>,
}

/// An image that the runtime has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageState {
    /// `sha256:…` of its configuration (of its index with Docker's containerd store).
    pub id: String,
    /// Manifest and index digests that the runtime knows it by, as `sha256:…`.
    pub digests: Vec<String>,
    /// Its names.
    pub tags: Vec<String>,
}

/// A container that the runtime has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerState {
    /// Its id.
    pub id: String,
    /// Its name, without the slash.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The image that it was made from, as named then.
    pub image: String,
    /// The id of that image, `sha256:…`.
    pub image_id: String,
    /// Whether it runs.
    pub running: bool,
    /// What it publishes on the host while it runs.
    pub ports: Vec<PublishedPort>,
}

/// A port of the host that leads into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedPort {
    /// The host's address; empty: all.
    pub address: String,
    /// The host's port.
    pub port: u16,
    /// Its protocol.
    pub protocol: crate::ports::Protocol,
}

/// What went wrong with a container runtime.
#[derive(Debug, thiserror::Error)]
pub enum ContainersError {
    /// None answers; each one's trouble is named.
    #[error("no container runtime answers: {}", NoRuntime(found))]
    None {
        /// Those that are installed.
        found: Vec<RuntimeInfo>,
    },
    /// The runtime refused, or did not answer.
    #[error("{runtime}: {action} {object}")]
    Call {
        /// Which runtime.
        runtime: RuntimeKind,
        /// What was to be done.
        action: &'static str,
        /// Image or container.
        object: String,
        /// Why it was not.
        #[source]
        source: bollard::errors::Error,
    },
    /// The runtime said so while it pulled or loaded.
    #[error("{runtime}: {action} {object}: {message}")]
    Said {
        /// Which runtime.
        runtime: RuntimeKind,
        /// What was to be done.
        action: &'static str,
        /// Image or archive.
        object: String,
        /// Its words.
        message: String,
    },
    /// The archive could not be read.
    #[error("cannot read the archive {path}")]
    Archive {
        /// The archive.
        path: Utf8PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Podman is installed, but its socket could not be opened.
    #[error("podman: cannot open podman.socket")]
    PodmanSocket(#[source] crate::systemd::SystemdError),
    /// No answer in time.
    #[error("{runtime}: {action} {object} got no answer within {} s", limit.as_secs())]
    Deadline {
        /// Which runtime.
        runtime: RuntimeKind,
        /// What was to be done.
        action: &'static str,
        /// Image or container.
        object: String,
        /// How long was waited.
        limit: Duration,
    },
}

struct NoRuntime<'a>(&'a [RuntimeInfo]);

// === impl RuntimeKind ===

impl RuntimeKind {
    /// The name of its program and of its systemd units.
    pub fn program(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }
}

impl fmt::Display for RuntimeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program())
    }
}

// === impl NoRuntime ===

impl fmt::Display for NoRuntime<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("neither docker nor podman is installed");
        }
        for (index, runtime) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            let trouble = runtime.trouble.as_deref().unwrap_or("unknown trouble");
            write!(f, "{separator}{} {trouble}", runtime.kind)?;
        }
        Ok(())
    }
}

// === impl ImageState ===

impl ImageState {
    /// Whether the image is one of these: manifest, index or configuration digests. No identities: any image is right.
    pub fn is_any_of(&self, identities: &[String]) -> bool {
        identities.is_empty()
            || identities
                .iter()
                .any(|wanted| *wanted == self.id || self.digests.contains(wanted))
    }
}
