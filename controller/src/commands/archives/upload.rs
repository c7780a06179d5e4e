//! Bringing archives to the controller: what it has by digest is not sent.

use bytes::Bytes;
use foundry_proto::Digest;
use foundry_proto::operator::v1 as wire;
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::Archive;
use crate::api::client::{Client, refusal};
use crate::cli::{CliError, Context};

/// One message, in bytes.
const CHUNK: usize = 256 * 1024;

/// Sends the archives that the controller does not have.
pub(in crate::commands) async fn upload(
    context: &Context,
    client: &mut Client,
    archives: &[Archive],
) -> Result<(), CliError> {
    if archives.is_empty() {
        return Ok(());
    }
    let digests = archives
        .iter()
        .map(|archive| archive.digest.to_bytes())
        .collect();
    let reply = client
        .has_artifacts(wire::HasArtifactsRequest { digests })
        .await;
    let missing = reply
        .map_err(|status| refusal(&status))?
        .into_inner()
        .missing;
    let progress = context.printer.progress();
    for digest in missing {
        let archive = archives
            .iter()
            .find(|a| Digest::try_from(&digest) == Ok(a.digest));
        let Some(archive) = archive else { continue };
        let size = archive.described.size;
        progress.update(
            &archive.described.path,
            &format!("to the controller, {} MB", size / 1_000_000),
        );
        send(client, archive).await?;
        progress.finish(
            &archive.described.path,
            "is at the controller",
            crate::output::Tone::Good,
        );
    }
    Ok(())
}

async fn send(client: &mut Client, archive: &Archive) -> Result<(), CliError> {
    let unreadable = |cause| CliError::because(format!("cannot read {}", archive.path), cause);
    let mut file = tokio::fs::File::open(&archive.path)
        .await
        .map_err(unreadable)?;
    let (sender, receiver) = mpsc::channel(4);
    let mut call = std::pin::pin!(client.put_artifact(ReceiverStream::new(receiver)));
    let feed = async move {
        let mut chunk = wire::PutArtifactChunk {
            digest: archive.digest.to_bytes(),
            size: archive.described.size,
            data: Bytes::new(),
        };
        loop {
            let mut data = vec![0; CHUNK];
            let read = file.read(&mut data).await.map_err(unreadable)?;
            data.truncate(read);
            chunk.data = data.into();
            let empty = std::mem::take(&mut chunk);
            // The first message goes out even for an empty file; a closed channel is explained by the call's own answer.
            if sender.send(empty).await.is_err() || read == 0 {
                return Ok::<_, CliError>(());
            }
        }
    };
    let (fed, answer) = tokio::join!(feed, &mut call);
    answer.map_err(|status| refusal(&status))?;
    fed
}
