//! Fetching an artifact from the controller, over a connection of its own.

use bytes::Bytes;
use foundry_proto::Digest;

use super::dial::{DialError, Dialer};

/// Where the bytes of an artifact go. The receiver checks the digest: it has the whole file.
#[async_trait::async_trait]
pub trait ArtifactSink: Send {
    /// The whole file's size in bytes; before the first chunk.
    async fn total(&mut self, bytes: u64) -> std::io::Result<()>;

    /// The next bytes.
    async fn write(&mut self, chunk: Bytes) -> std::io::Result<()>;
}

/// Why an artifact did not arrive whole.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No address answers.
    #[error("connect to the controller")]
    Dial(#[source] DialError),
    /// The controller does not serve it, or the stream broke.
    #[error("fetch artifact {digest}")]
    Refused {
        /// What was asked for.
        digest: Digest,
        /// The cause.
        #[source]
        source: Box<tonic::Status>,
    },
    /// The stream ended early.
    #[error("artifact {digest} ended after {got} of {expected} bytes")]
    Short {
        /// What was asked for.
        digest: Digest,
        /// Bytes there are, the offset included.
        got: u64,
        /// Bytes there should be.
        expected: u64,
    },
    /// The bytes could not be kept.
    #[error("keep artifact {digest}")]
    Sink {
        /// What was asked for.
        digest: Digest,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

/// Fetches the artifact from `offset` on into the sink; returns how many bytes the whole file has.
pub async fn fetch_artifact(
    dialer: &Dialer,
    digest: Digest,
    offset: u64,
    sink: &mut dyn ArtifactSink,
) -> Result<u64, FetchError> {
    let _ = (dialer, digest, offset, sink);
    unimplemented!("follows")
}
