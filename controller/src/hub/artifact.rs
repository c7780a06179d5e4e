//! Serving artifacts: only what an assignment of the caller names, from an offset, a piece at a time.

use std::io::SeekFrom;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use foundry_proto::agent::v1::{ArtifactChunk, FetchArtifactRequest};
use foundry_proto::{Digest, HostId};
use fs_err::tokio::File;
use futures_util::{Stream, stream};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::OwnedSemaphorePermit;
use tonic::Status;

use super::connection::Caller;
use super::error::chain;
use super::gate::Counted;
use super::refusal;
use super::service::Inner;

/// Bytes in one piece.
const CHUNK: usize = 128 * 1024;

/// Artifacts that one host fetches at a time, and all hosts together; more wait.
const PER_HOST: usize = 4;
pub(super) const ALTOGETHER: usize = 256;

/// An artifact on its way.
struct Sending {
    hub: Arc<Inner>,
    caller: Arc<Caller>,
    file: File,
    total: u64,
    first: bool,
    _permit: OwnedSemaphorePermit,
    _counted: Counted<HostId>,
}

/// The artifact as a stream, or why not.
pub(super) async fn serve(
    hub: &Arc<Inner>,
    caller: Arc<Caller>,
    host: HostId,
    request: FetchArtifactRequest,
) -> Result<impl Stream<Item = Result<ArtifactChunk, Status>> + use<>, Status> {
    let digest = Digest::try_from(&request.digest)
        .map_err(|error| Status::invalid_argument(error.to_string()))?;
    let counted = hub
        .fetching
        .add(host, PER_HOST)
        .ok_or_else(|| Status::resource_exhausted("too many artifacts at a time"))?;
    let internal = |cause: String| {
        tracing::warn!(%host, %digest, %cause, "an artifact cannot be served");
        Status::internal("the artifact cannot be read")
    };
    let path = hub
        .backend
        .artifact(host, digest)
        .await
        .map_err(|error| internal(chain(&error)))?;
    let path = path.ok_or_else(|| {
        Status::not_found(format!(
            "no assignment of this host names artifact {digest}"
        ))
    })?;
    let permit = Arc::clone(&hub.fetches)
        .acquire_owned()
        .await
        .map_err(|_| Status::unavailable("the controller stops"))?;
    let mut file = File::open(&path)
        .await
        .map_err(|error| internal(chain(&error)))?;
    let total = file
        .metadata()
        .await
        .map_err(|error| internal(chain(&error)))?
        .len();
    if request.offset > total {
        return Err(Status::out_of_range(format!(
            "the artifact has {total} bytes"
        )));
    }
    file.seek(SeekFrom::Start(request.offset))
        .await
        .map_err(|error| internal(chain(&error)))?;
    let hub = Arc::clone(hub);
    let sending = Sending {
        hub,
        caller,
        file,
        total,
        first: true,
        _permit: permit,
        _counted: counted,
    };
    Ok(stream::try_unfold(sending, Sending::next))
}

// === impl Sending ===

impl Sending {
    async fn next(mut self) -> Result<Option<(ArtifactChunk, Self)>, Status> {
        self.hub
            .admission
            .check(&self.caller.peer)
            .map_err(refusal::status)?;
        let data = self.read().await.map_err(|error| {
            tracing::warn!(cause = %chain(&error), "an artifact cannot be read");
            Status::internal("the artifact cannot be read")
        })?;
        if data.is_empty() && !self.first {
            return Ok(None);
        }
        let total_size = if std::mem::take(&mut self.first) {
            self.total
        } else {
            0
        };
        Ok(Some((ArtifactChunk { data, total_size }, self)))
    }

    async fn read(&mut self) -> std::io::Result<Bytes> {
        let mut chunk = BytesMut::with_capacity(CHUNK);
        while chunk.len() < CHUNK && self.file.read_buf(&mut chunk).await? > 0 {}
        chunk.truncate(CHUNK);
        Ok(chunk.freeze())
    }
}
