//! Who may fetch what.

use camino::Utf8PathBuf;
use foundry_proto::Digest;
use foundry_proto::agent::v1::{FetchArtifactRequest, Refusal};
use tonic::Code;

use super::admission::reason;
use super::fleet::{Fleet, Host};

async fn fetch(host: &Host, digest: Digest, offset: u64) -> Result<(u64, Vec<u8>), tonic::Status> {
    let request = FetchArtifactRequest {
        digest: digest.to_bytes(),
        offset,
    };
    let mut chunks = host
        .client()
        .await
        .fetch_artifact(request)
        .await?
        .into_inner();
    let (mut total, mut bytes) = (0, Vec::new());
    while let Some(chunk) = chunks.message().await? {
        total = total.max(chunk.total_size);
        bytes.extend_from_slice(&chunk.data);
    }
    Ok((total, bytes))
}

#[tokio::test]
async fn a_host_fetches_what_its_assignments_name_and_nothing_else() {
    let fleet = Fleet::start().await;
    let (host, other) = (fleet.host(), fleet.host());
    let content: Vec<u8> = (0..1_000_000u32).map(|index| (index % 251) as u8).collect();
    let digest = Digest::of(&content);
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().join("artifact")).unwrap();
    fs_err::write(&path, &content).unwrap();
    fleet
        .backend
        .artifacts
        .lock()
        .unwrap()
        .insert((host.id, digest), path);
    let size = content.len() as u64;
    assert_eq!(
        fetch(&host, digest, 0).await.unwrap(),
        (size, content.clone())
    );
    assert_eq!(
        fetch(&host, digest, 999_990).await.unwrap(),
        (size, content[999_990..].to_vec())
    );
    assert_eq!(
        fetch(&host, digest, size).await.unwrap(),
        (size, Vec::new())
    );
    assert_eq!(
        fetch(&host, digest, size + 1).await.unwrap_err().code(),
        Code::OutOfRange
    );
    assert_eq!(
        fetch(&other, digest, 0).await.unwrap_err().code(),
        Code::NotFound
    );
    let unknown = Digest::of(b"another");
    assert_eq!(
        fetch(&host, unknown, 0).await.unwrap_err().code(),
        Code::NotFound
    );
}

#[tokio::test]
async fn removal_ends_a_fetch_that_is_under_way() {
    let fleet = Fleet::start().await;
    let host = fleet.host();
    let content = vec![7; 16 * 1024 * 1024];
    let digest = Digest::of(&content);
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().join("artifact")).unwrap();
    fs_err::write(&path, &content).unwrap();
    fleet
        .backend
        .artifacts
        .lock()
        .unwrap()
        .insert((host.id, digest), path);
    let request = FetchArtifactRequest {
        digest: digest.to_bytes(),
        offset: 0,
    };
    let mut chunks = host
        .client()
        .await
        .fetch_artifact(request)
        .await
        .unwrap()
        .into_inner();
    chunks.message().await.unwrap();
    fleet.admission.remove(host.id);
    let status = loop {
        match chunks.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("all of it arrived"),
            Err(status) => break status,
        }
    };
    assert_eq!(reason(&status), Refusal::Removed);
}

#[tokio::test]
async fn a_missing_file_tells_the_host_no_path() {
    let fleet = Fleet::start().await;
    let host = fleet.host();
    let digest = Digest::of(b"gone");
    let path = Utf8PathBuf::from("/nonexistent/secret-place");
    fleet
        .backend
        .artifacts
        .lock()
        .unwrap()
        .insert((host.id, digest), path);
    let status = fetch(&host, digest, 0).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(!status.message().contains("secret-place"), "{status}");
}
