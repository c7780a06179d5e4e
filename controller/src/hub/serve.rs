//! The hub itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use foundry_link::tls::{Clock, Credentials};
use foundry_proto::HostId;
use foundry_proto::agent::v1::{ReconnectPolicy, Refusal};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use super::admission::Admission;
use super::backend::Backend;
use super::error::HubError;
use super::event::HubEvent;
use super::handle::{SessionHandle, SessionInfo};

/// How the hub listens and how it treats sessions.
#[derive(Debug, Clone)]
pub struct Settings {
    /// host:port; `[::]:7443` takes IPv4 too. Port 0: any free one.
    pub listen: String,
    /// A session is dead when nothing was heard for this long.
    pub ttl: Duration,
    /// How agents come back.
    pub reconnect: ReconnectPolicy,
    /// How long a TLS handshake may take.
    pub handshake_deadline: Duration,
    /// How many connections may be without an authenticated peer.
    pub half_open: usize,
    /// How many handshakes are computed at a time.
    pub handshakes: usize,
}

/// The agents' listener and their sessions. Clones are the same hub; it ends with its `stop`.
#[derive(Clone)]
pub struct Hub {}

// === impl Settings ===

impl Settings {
    /// The defaults for this listen address.
    pub fn new(listen: impl Into<String>) -> Self {
        Self {
            listen: listen.into(),
            ttl: Duration::from_secs(15),
            reconnect: foundry_link::backoff::Policy::default().into(),
            handshake_deadline: Duration::from_secs(5),
            half_open: 1024,
            handshakes: 64,
        }
    }
}

// === impl Hub ===

impl Hub {
    /// Listens and serves until `stop`.
    pub async fn start(
        settings: Settings,
        credentials: watch::Receiver<Arc<Credentials>>,
        clock: Arc<Clock>,
        admission: Admission,
        backend: Arc<dyn Backend>,
        stop: CancellationToken,
    ) -> Result<Self, HubError> {
        let _ = (settings, credentials, clock, admission, backend, stop);
        unimplemented!("follows")
    }

    /// A connection that came over a bridge: the same handshake, the same checks.
    pub async fn accept(&self, io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let _ = io;
        unimplemented!("follows")
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        unimplemented!("follows")
    }

    /// All live sessions.
    pub fn sessions(&self) -> Vec<SessionInfo> {
        unimplemented!("follows")
    }

    /// The host's live session.
    pub fn session(&self, host: HostId) -> Option<SessionHandle> {
        let _ = host;
        unimplemented!("follows")
    }

    /// The host's session, waiting for it if it has none yet. `None`: not within `timeout`.
    pub async fn await_session(&self, host: HostId, timeout: Duration) -> Option<SessionHandle> {
        let _ = (host, timeout);
        unimplemented!("follows")
    }

    /// Ends the host's live session with this reason. Take it off [`Admission`] first, or it comes back.
    pub fn cut(&self, host: HostId, reason: Refusal) {
        let _ = (host, reason);
        unimplemented!("follows")
    }

    /// What happens from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<HubEvent> {
        unimplemented!("follows")
    }

    /// Ends once everything has wound up after `stop`.
    pub async fn stopped(&self) {
        unimplemented!("follows")
    }
}
