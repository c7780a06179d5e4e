//! Files by digest, in and out.

use bytes::Bytes;
use foundry_proto::Digest;
use foundry_proto::agent::v1::ArtifactChunk;
use foundry_proto::digest::DigestError;
use foundry_proto::operator::v1::{
    GetArtifactRequest, HasArtifactsReply, HasArtifactsRequest, PutArtifactChunk, PutArtifactReply,
};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tonic::{Status, Streaming};

use crate::api::error::{ApiError, ErrorKind};
use crate::artifacts::{ArtifactError, Artifacts};

/// How much of a file goes into one message.
const CHUNK: usize = 256 * 1024;

/// Which of these files are missing.
pub(super) fn has(
    artifacts: &Artifacts,
    request: &HasArtifactsRequest,
) -> Result<HasArtifactsReply, Status> {
    let mut missing = Vec::new();
    for bytes in &request.digests {
        if artifacts.get(&digest(bytes)?).is_none() {
            missing.push(bytes.clone());
        }
    }
    Ok(HasArtifactsReply { missing })
}

/// Receives a file. One that is there already is only read to its end.
pub(super) async fn put(
    artifacts: &Artifacts,
    mut chunks: Streaming<PutArtifactChunk>,
) -> Result<PutArtifactReply, Status> {
    let first = chunks.message().await?;
    let first = first.ok_or_else(|| invalid("an artifact without its digest"))?;
    let digest = digest(&first.digest)?;
    if artifacts.get(&digest).is_some() {
        while chunks.message().await?.is_some() {}
        return Ok(PutArtifactReply {});
    }
    let mut receiving = artifacts
        .receive(digest, first.size)
        .await
        .map_err(refuse)?;
    receiving.write(&first.data).await.map_err(refuse)?;
    while let Some(chunk) = chunks.message().await? {
        receiving.write(&chunk.data).await.map_err(refuse)?;
    }
    receiving.finish().await.map_err(refuse)?;
    Ok(PutArtifactReply {})
}

/// Gives a file out, from an offset.
pub(super) async fn get(
    artifacts: &Artifacts,
    request: &GetArtifactRequest,
) -> Result<BoxStream<'static, Result<ArtifactChunk, Status>>, Status> {
    let digest = digest(&request.digest)?;
    let missing = || {
        ApiError::new(
            ErrorKind::NotFound,
            format!("no artifact {}", digest.short()),
        )
    };
    let path = artifacts.get(&digest).ok_or_else(missing)?;
    let failed = move |source| {
        refuse(ArtifactError::Io {
            action: "read",
            digest,
            source,
        })
    };
    let mut file = tokio::fs::File::open(&path).await.map_err(failed)?;
    let total_size = file.metadata().await.map_err(failed)?.len();
    file.seek(std::io::SeekFrom::Start(request.offset))
        .await
        .map_err(failed)?;
    let chunks = stream::try_unfold(file, move |mut file| async move {
        let mut data = Vec::with_capacity(CHUNK);
        (&mut file)
            .take(CHUNK as u64)
            .read_to_end(&mut data)
            .await?;
        Ok((!data.is_empty()).then_some((Bytes::from(data), file)))
    });
    let chunks = chunks
        .map_err(failed)
        .enumerate()
        .map(move |(index, data)| {
            let total_size = if index == 0 { total_size } else { 0 };
            data.map(|data| ArtifactChunk { data, total_size })
        });
    Ok(chunks.boxed())
}

fn digest(bytes: &Bytes) -> Result<Digest, Status> {
    Digest::try_from(bytes).map_err(|error: DigestError| invalid(&error.to_string()))
}

fn invalid(message: &str) -> Status {
    ApiError::new(ErrorKind::Invalid, message).to_status()
}

fn refuse(error: ArtifactError) -> Status {
    let kind = match error {
        ArtifactError::Digest { .. } | ArtifactError::Size { .. } => ErrorKind::Invalid,
        ArtifactError::Io { .. } => ErrorKind::Failed,
    };
    ApiError::of(kind, &error).to_status()
}
