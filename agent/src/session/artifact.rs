//! Fetching an artifact from the controller, over a connection of its own.

use std::time::Duration;

use bytes::Bytes;
use foundry_proto::Digest;
use foundry_proto::agent::v1::FetchArtifactRequest;

use super::channel::{self, Windows};
use super::dial::Dialer;
use super::ended::Ended;

/// How much the controller may send ahead, in bytes: enough for a fast line with a long round trip.
const WINDOWS: Windows = Windows {
    stream: 2 * 1024 * 1024,
    connection: 2 * 1024 * 1024,
};

/// Without a byte for this long the fetch is given up. The controller may let it wait for others.
const STALL: Duration = Duration::from_secs(60);

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
    /// No address answers; the text has each one's cause.
    #[error("connect to the controller: {0}")]
    Connect(Ended),
    /// Nothing came for a minute.
    #[error("artifact {0} stalled")]
    Stalled(Digest),
    /// The controller does not serve it, or the stream broke.
    #[error("fetch artifact {digest}")]
    Refused {
        /// What was asked for.
        digest: Digest,
        /// The cause.
        #[source]
        source: Box<tonic::Status>,
    },
    /// The stream ended early, or did not end.
    #[error("artifact {digest} came with {got} of {expected} bytes")]
    Size {
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
    let (_, mut client) = channel::open(dialer, WINDOWS)
        .await
        .map_err(FetchError::Connect)?;
    let refused = |source| FetchError::Refused {
        digest,
        source: Box::new(source),
    };
    let kept = |source| FetchError::Sink { digest, source };
    let request = FetchArtifactRequest {
        digest: digest.to_bytes(),
        offset,
    };
    let answered = within(client.fetch_artifact(request))
        .await
        .ok_or(FetchError::Stalled(digest))?;
    let mut chunks = answered.map_err(refused)?.into_inner();
    let (mut total, mut got) = (None, offset);
    loop {
        let next = within(chunks.message())
            .await
            .ok_or(FetchError::Stalled(digest))?;
        let Some(chunk) = next.map_err(refused)? else {
            break;
        };
        if total.is_none() {
            total = Some(chunk.total_size);
            sink.total(chunk.total_size).await.map_err(kept)?;
        }
        got += chunk.data.len() as u64;
        if got > total.unwrap_or_default() {
            break;
        }
        sink.write(chunk.data).await.map_err(kept)?;
    }
    let expected = total.unwrap_or_default();
    if got != expected {
        return Err(FetchError::Size {
            digest,
            got,
            expected,
        });
    }
    Ok(expected)
}

async fn within<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(STALL, work).await.ok()
}
