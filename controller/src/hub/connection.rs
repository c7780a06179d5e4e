//! A connection with an authenticated peer, as tonic serves it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use foundry_link::pki::Peer;
use foundry_proto::HostId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use super::gate::Counted;

/// Bytes from anywhere but TCP.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// The peer of a connection, as each call on it sees it.
#[derive(Debug)]
pub(super) struct Caller {
    /// Whom its verified certificate names.
    pub(super) peer: Peer,
    /// From where; `None`: over a bridge.
    pub(super) address: Option<SocketAddr>,
    /// Ends the connection.
    pub(super) close: CancellationToken,
    /// Its place among the host's connections.
    pub(super) _seat: Option<Counted<HostId>>,
}

/// Where the bytes of a connection come from.
pub(super) enum Stream {
    Tcp(TlsStream<TcpStream>),
    Bridged(TlsStream<Box<dyn Io>>),
}

/// A connection with an authenticated peer.
pub(super) struct Connection {
    stream: Stream,
    caller: Arc<Caller>,
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
}

// === impl Connection ===

impl Connection {
    pub(super) fn new(stream: Stream, caller: Caller) -> Self {
        let closed = Box::pin(caller.close.clone().cancelled_owned());
        Self {
            stream,
            caller: Arc::new(caller),
            closed,
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Arc<Caller>;

    fn connect_info(&self) -> Self::ConnectInfo {
        Arc::clone(&self.caller)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.closed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Bridged(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Bridged(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Bridged(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Bridged(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
