//! What the hub asks of the rest of the controller.

use async_trait::async_trait;
use camino::Utf8PathBuf;
use foundry_proto::agent::v1::{Assign, Event, Hello, IssuedCertificate, Welcome};
use foundry_proto::{Digest, HostId};

/// What the hub asks of the rest of the controller.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Everything that this host should have, opened from its seal. Asked when a session opens; only what differs from
    /// what the host holds is sent.
    async fn desired(&self, host: HostId) -> Result<Vec<Assign>, BackendError>;

    /// The highest number of this ledger's events that is stored; 0: none.
    async fn recorded(&self, host: HostId, ledger: &str) -> Result<u64, BackendError>;

    /// Stores the batch, in its order, together with the highest number per host and ledger, in one transaction. What is
    /// not stored is offered again; an event with a number that [`Backend::recorded`] covers is never offered.
    async fn record(&self, batch: &[HostEvent]) -> Result<(), BackendError>;

    /// Where the artifact lies. `None`: no assignment of this host names it.
    async fn artifact(
        &self,
        host: HostId,
        digest: Digest,
    ) -> Result<Option<Utf8PathBuf>, BackendError>;

    /// Store id, addresses and authorities to keep. Protocol, ttl and reconnect policy are filled in by the hub where zero
    /// or missing.
    fn welcome(&self, host: HostId) -> Welcome;

    /// A certificate for the key of this request. The key is admitted beside the present one before this returns.
    async fn renew(&self, host: HostId, csr: &[u8]) -> Result<IssuedCertificate, BackendError>;

    /// A session opened with this key of the host: earlier keys of its renewal may be dropped from the allow-list. Awaited
    /// before anything of the session is recorded, so that what the hello says is older than every event after it.
    async fn connected(&self, host: HostId, key: Digest, hello: &Hello);
}

/// An event with where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct HostEvent {
    /// The host, as its certificate says.
    pub host: HostId,
    /// The ledger that numbered it.
    pub ledger: String,
    /// The event; `age_ms` is its age when it was sent.
    pub event: Event,
}

/// What the rest of the controller could not do.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct BackendError {
    what: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

// === impl BackendError ===

impl BackendError {
    /// A failure with its cause. `what` never reaches a host.
    pub fn new(
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            what: what.into(),
            source: Some(source.into()),
        }
    }

    /// A failure that is its own cause.
    pub fn message(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            source: None,
        }
    }
}
