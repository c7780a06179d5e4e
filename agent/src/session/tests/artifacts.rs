//! Artifacts arrive whole, go on where they stopped, and say why not.

use bytes::Bytes;
use foundry_proto::Digest;
use tonic::Code;

use super::controller::Fleet;
use crate::session::{ArtifactSink, Dialer, FetchError, fetch_artifact};

/// Keeps what comes.
#[derive(Default)]
struct Kept {
    total: Option<u64>,
    bytes: Vec<u8>,
    full: bool,
}

#[async_trait::async_trait]
impl ArtifactSink for Kept {
    async fn total(&mut self, bytes: u64) -> std::io::Result<()> {
        self.total = Some(bytes);
        Ok(())
    }

    async fn write(&mut self, chunk: Bytes) -> std::io::Result<()> {
        if self.full {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(&chunk);
        Ok(())
    }
}

/// A fleet that serves this content, up to `end` at first.
fn serving(end: usize) -> (Fleet, Dialer, Bytes, Digest) {
    let fleet = Fleet::start();
    let content: Bytes = (0..100_000u32).map(|index| (index % 251) as u8).collect();
    let digest = Digest::of(&content);
    fleet
        .artifacts
        .lock()
        .unwrap()
        .insert(digest, (content.clone(), end));
    let (dialer, _publish) = fleet.dialer();
    (fleet, dialer, content, digest)
}

#[tokio::test]
async fn an_artifact_that_broke_off_goes_on_from_there() {
    let (fleet, dialer, content, digest) = serving(70_000);
    let mut kept = Kept::default();
    let error = fetch_artifact(&dialer, digest, 0, &mut kept)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            FetchError::Size {
                got: 70_000,
                expected: 100_000,
                ..
            }
        ),
        "{error:?}"
    );
    fleet
        .artifacts
        .lock()
        .unwrap()
        .insert(digest, (content.clone(), content.len()));
    let fetched = fetch_artifact(&dialer, digest, kept.bytes.len() as u64, &mut kept).await;
    assert_eq!(fetched.unwrap(), 100_000);
    assert_eq!((kept.total, &kept.bytes[..]), (Some(100_000), &content[..]));
}

#[tokio::test]
async fn what_the_controller_does_not_serve_is_its_answer() {
    let (_fleet, dialer, ..) = serving(0);
    let other = Digest::of(b"other");
    let error = fetch_artifact(&dialer, other, 0, &mut Kept::default())
        .await
        .unwrap_err();
    let FetchError::Refused { digest, source } = error else {
        panic!("{error:?}")
    };
    assert_eq!((digest, source.code()), (other, Code::NotFound));
}

#[tokio::test]
async fn a_full_disk_is_named() {
    let (_fleet, dialer, _, digest) = serving(100_000);
    let mut full = Kept {
        full: true,
        ..Kept::default()
    };
    let error = fetch_artifact(&dialer, digest, 0, &mut full)
        .await
        .unwrap_err();
    assert!(matches!(error, FetchError::Sink { .. }), "{error:?}");
}
