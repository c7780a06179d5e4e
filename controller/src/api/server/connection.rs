//! One operator's connection.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::server::Connected;

use crate::daemon::Busy;

/// Who may be an operator.
pub(super) struct Operators {
    owner: u32,
}

/// A connection; while it lives, the controller is needed.
pub(super) struct Connection {
    stream: UnixStream,
    number: u64,
    gone: CancellationToken,
    _gone: DropGuard,
    _busy: Busy,
}

/// What a call knows of its connection.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// Tells connections apart.
    pub(super) connection: u64,
    /// Cancelled when the connection ends: whoever promised to report something over it will not.
    pub(super) gone: CancellationToken,
}

// === impl Operators ===

impl Operators {
    /// The user of this process, and root.
    pub(super) fn current() -> Self {
        Self {
            owner: rustix::process::geteuid().as_raw(),
        }
    }

    /// Whether the peer is one of them.
    pub(super) fn admit(&self, stream: &UnixStream) -> bool {
        match stream.peer_cred() {
            Ok(peer) if self.allows(peer.uid()) => true,
            Ok(peer) => {
                tracing::warn!(uid = peer.uid(), "another user at the operator's socket");
                false
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a peer without a name"
                );
                false
            }
        }
    }

    fn allows(&self, uid: u32) -> bool {
        uid == self.owner || uid == 0
    }
}

// === impl Connection ===

impl Connection {
    pub(super) fn new(stream: UnixStream, busy: Busy) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let gone = CancellationToken::new();
        Self {
            stream,
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            gone: gone.clone(),
            _gone: gone.drop_guard(),
            _busy: busy,
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        Caller {
            connection: self.number,
            gone: self.gone.clone(),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::Operators;

    #[test]
    fn only_the_owner_and_root_are_operators() {
        let operators = Operators { owner: 1000 };
        assert!(operators.allows(1000) && operators.allows(0));
        assert!(!operators.allows(1001));
    }
}
