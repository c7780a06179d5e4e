//! From a socket to a connection with an authenticated peer, or to a counted and logged failure.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use foundry_link::pki::{Peer, PeerError};
use foundry_proto::{HostId, Identity};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::connection::{Caller, Connection, Io, Stream};
use super::gate::Counts;
use super::log_limit::LogLimit;

/// A host needs one connection for its session, some for artifacts and forwards.
const CONNECTIONS_PER_HOST: usize = 16;

/// A peer is asked for a sign of life after so long without one, and given up after twice that.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Where every connection of an agent comes in.
pub(super) struct Door {
    acceptor: TlsAcceptor,
    deadline: Duration,
    computing: Semaphore,
    seats: Counts<HostId>,
    incoming: mpsc::Sender<io::Result<Connection>>,
    failures: AtomicU64,
    log: LogLimit,
    /// Parent of every connection's own.
    close: CancellationToken,
}

/// Why a connection got no further.
#[derive(Debug, thiserror::Error)]
pub(super) enum DoorError {
    #[error("set up the socket")]
    Socket(#[source] io::Error),
    #[error("TLS handshake")]
    Handshake(#[source] io::Error),
    #[error("no handshake within {} s", .0.as_secs())]
    Deadline(Duration),
    #[error("read the peer's certificate")]
    Peer(#[source] PeerError),
    #[error("the peer showed no certificate")]
    NoCertificate,
    #[error("{0} has too many connections already")]
    Seats(Identity),
    #[error("too many connections from there are without a handshake")]
    Crowded,
    #[error("the controller stops")]
    Stopping,
}

// === impl Door ===

impl Door {
    pub(super) fn new(
        config: rustls::ServerConfig,
        deadline: Duration,
        handshakes: usize,
        incoming: mpsc::Sender<io::Result<Connection>>,
    ) -> Self {
        Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            deadline,
            computing: Semaphore::new(handshakes.max(1)),
            seats: Counts::default(),
            incoming,
            failures: AtomicU64::new(0),
            log: LogLimit::default(),
            close: CancellationToken::new(),
        }
    }

    /// Closes every connection.
    pub(super) fn close(&self) {
        self.close.cancel();
    }

    /// Turns away a connection from an address that has too many.
    pub(super) fn crowded(&self, from: SocketAddr) {
        self.note(Err(DoorError::Crowded), Some(from));
    }

    /// How many connections ended before they had an authenticated peer.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Lets in a connection over TCP.
    pub(super) async fn tcp(&self, socket: TcpStream, from: SocketAddr) {
        let entered = match tune(&socket) {
            Ok(()) => self.enter(socket, Some(from), Stream::Tcp).await,
            Err(error) => Err(DoorError::Socket(error)),
        };
        self.note(entered, Some(from));
    }

    /// Lets in a connection over a bridge.
    pub(super) async fn bridged(&self, io: Box<dyn Io>) {
        let entered = self.enter(io, None, Stream::Bridged).await;
        self.note(entered, None);
    }

    async fn enter<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        io: T,
        address: Option<SocketAddr>,
        stream: impl FnOnce(TlsStream<T>) -> Stream,
    ) -> Result<(), DoorError> {
        let tls = self.handshake(io).await?;
        let chain = tls.get_ref().1.peer_certificates().unwrap_or_default();
        let leaf = chain.first().ok_or(DoorError::NoCertificate)?;
        let peer = Peer::of(leaf).map_err(DoorError::Peer)?;
        let seat = match &peer.identity {
            Identity::Host(_, host) => Some(
                self.seats
                    .add(*host, CONNECTIONS_PER_HOST)
                    .ok_or_else(|| DoorError::Seats(peer.identity.clone()))?,
            ),
            Identity::Controller(_) => None,
        };
        let caller = Caller {
            peer,
            address,
            close: self.close.child_token(),
            _seat: seat,
        };
        let connection = Connection::new(stream(tls), caller);
        self.incoming
            .send(Ok(connection))
            .await
            .map_err(|_| DoorError::Stopping)
    }

    /// The handshake, with a permit for each stretch of computing but none while the peer is awaited: a storm of
    /// handshakes leaves the processor to the sessions, and a silent peer holds up nobody. The deadline is the peer's: our
    /// own queue does not count.
    async fn handshake<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        io: T,
    ) -> Result<TlsStream<T>, DoorError> {
        let mut accept = std::pin::pin!(self.acceptor.accept(io));
        let mut patience = self.deadline;
        loop {
            let permit = self
                .computing
                .acquire()
                .await
                .map_err(|_| DoorError::Stopping)?;
            if let Poll::Ready(done) = futures_util::poll!(accept.as_mut()) {
                return done.map_err(DoorError::Handshake);
            }
            drop(permit);
            let waiting = Instant::now();
            if !woken(patience).await {
                return Err(DoorError::Deadline(self.deadline));
            }
            patience = patience.saturating_sub(waiting.elapsed());
        }
    }

    fn note(&self, entered: Result<(), DoorError>, from: Option<SocketAddr>) {
        let Err(error) = entered else { return };
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if self.log.allows() {
            let from = from.map_or_else(|| "a bridge".to_owned(), |from| from.to_string());
            let cause = super::error::chain(&error);
            tracing::info!(%from, %cause, failures, "a connection was refused");
        }
    }
}

/// A session's messages are small and wait for nothing; a peer that is gone is found out, also by streams that have
/// nothing to say.
fn tune(socket: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    socket.set_nodelay(true)?;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, KEEPALIVE)?;
    sockopt::set_tcp_keepintvl(socket, KEEPALIVE / 3)?;
    sockopt::set_tcp_keepcnt(socket, 3)?;
    let patience_ms = u32::try_from(2 * KEEPALIVE.as_millis()).unwrap_or(u32::MAX);
    sockopt::set_tcp_user_timeout(socket, patience_ms)?;
    Ok(())
}

/// Ends when the task is polled again, which whatever was polled before sees to. `false`: not within this time.
async fn woken(within: Duration) -> bool {
    let mut late = std::pin::pin!(tokio::time::sleep(within));
    let mut polled = false;
    std::future::poll_fn(|cx| {
        if late.as_mut().poll(cx).is_ready() {
            return Poll::Ready(false);
        }
        if std::mem::replace(&mut polled, true) {
            Poll::Ready(true)
        } else {
            Poll::Pending
        }
    })
    .await
}
