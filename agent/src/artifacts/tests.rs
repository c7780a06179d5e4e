use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use camino::Utf8PathBuf;
use foundry_proto::Digest;
use fs_err as fs;

use super::{Cache, CacheError, Source};
use crate::session::{ArtifactSink, FetchError};

const CONTENT: &[u8] = b"an archive of some length";

/// Serves `content`, breaking off after as many bytes as it is told, call by call.
struct Fake {
    content: &'static [u8],
    breaks: Mutex<Vec<usize>>,
    calls: AtomicUsize,
    offsets: Mutex<Vec<u64>>,
}

impl Fake {
    fn new(content: &'static [u8], breaks: &[usize]) -> Arc<Self> {
        let breaks = Mutex::new(breaks.iter().rev().copied().collect());
        let (calls, offsets) = (AtomicUsize::new(0), Mutex::default());
        Arc::new(Self {
            content,
            breaks,
            calls,
            offsets,
        })
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Source for Fake {
    async fn fetch(
        &self,
        digest: Digest,
        offset: u64,
        sink: &mut dyn ArtifactSink,
    ) -> Result<u64, FetchError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.offsets.lock().unwrap().push(offset);
        tokio::task::yield_now().await;
        let expected = self.content.len() as u64;
        let rest = self.content.get(offset as usize..);
        let rest = rest.ok_or(FetchError::Size {
            digest,
            got: offset,
            expected,
        })?;
        let length = self
            .breaks
            .lock()
            .unwrap()
            .pop()
            .unwrap_or(rest.len())
            .min(rest.len());
        sink.total(expected).await.unwrap();
        sink.write(Bytes::from_static(&rest[..length]))
            .await
            .unwrap();
        let got = offset + length as u64;
        if got < expected {
            Err(FetchError::Size {
                digest,
                got,
                expected,
            })
        } else {
            Ok(expected)
        }
    }
}

struct Bed {
    _owner: tempfile::TempDir,
    folder: Utf8PathBuf,
}

impl Bed {
    fn new() -> Self {
        let owner = tempfile::tempdir().unwrap();
        let folder = Utf8PathBuf::from_path_buf(owner.path().join("artifacts")).unwrap();
        Self {
            _owner: owner,
            folder,
        }
    }

    fn cache(&self, source: &Arc<Fake>) -> Cache {
        Cache::open(self.folder.clone(), source.clone()).unwrap()
    }

    fn part(&self, digest: Digest) -> Utf8PathBuf {
        fs::create_dir_all(&self.folder).unwrap();
        self.folder.join(format!("{digest}.part"))
    }
}

#[tokio::test]
async fn several_askers_share_one_fetch_and_the_file_stays() {
    let (bed, source) = (Bed::new(), Fake::new(CONTENT, &[]));
    let (cache, digest) = (bed.cache(&source), Digest::of(CONTENT));
    let (one, two) = tokio::join!(cache.get(digest), cache.get(digest));
    assert_eq!(one.unwrap(), two.unwrap());
    let path = cache.get(digest).await.unwrap();
    assert_eq!(
        (fs::read(path).unwrap().as_slice(), source.calls()),
        (CONTENT, 1)
    );
}

#[tokio::test]
async fn a_fetch_that_breaks_off_goes_on_where_it_ended() {
    let (bed, source) = (Bed::new(), Fake::new(CONTENT, &[3, 5]));
    let path = bed.cache(&source).get(Digest::of(CONTENT)).await.unwrap();
    assert_eq!(fs::read(path).unwrap(), CONTENT);
    assert_eq!(*source.offsets.lock().unwrap(), [0, 3, 8]);
}

#[tokio::test]
async fn what_an_earlier_agent_left_is_taken_up_and_thrown_away_where_it_is_wrong() {
    let digest = Digest::of(CONTENT);
    for (left, offsets) in [
        (&CONTENT[..4], vec![4]),
        (&b"rubbish"[..], vec![7, 0]),
        (&[7; 100][..], vec![100, 0]),
    ] {
        let (bed, source) = (Bed::new(), Fake::new(CONTENT, &[]));
        fs::write(bed.part(digest), left).unwrap();
        let path = bed.cache(&source).get(digest).await.unwrap();
        assert_eq!(fs::read(path).unwrap(), CONTENT);
        assert_eq!(*source.offsets.lock().unwrap(), offsets);
        assert!(!bed.part(digest).exists());
    }
}

#[tokio::test]
async fn another_file_is_never_taken_for_the_right_one() {
    let (bed, source) = (Bed::new(), Fake::new(b"something else", &[]));
    let digest = Digest::of(CONTENT);
    let error = bed.cache(&source).get(digest).await.unwrap_err();
    assert!(matches!(*error, CacheError::Other { .. }), "{error:?}");
    assert_eq!(fs::read_dir(&bed.folder).unwrap().count(), 0);
}

#[tokio::test]
async fn what_nobody_names_goes() {
    let (bed, source) = (Bed::new(), Fake::new(CONTENT, &[]));
    let (cache, digest) = (bed.cache(&source), Digest::of(CONTENT));
    let kept = cache.get(digest).await.unwrap();
    let orphan = Digest::of(b"orphan");
    fs::write(bed.part(orphan), "half").unwrap();
    fs::write(bed.folder.join(orphan.to_string()), "orphan").unwrap();
    cache.prune(&BTreeSet::from([digest])).unwrap();
    assert!(kept.exists());
    assert_eq!(fs::read_dir(&bed.folder).unwrap().count(), 1);
    cache.prune(&BTreeSet::new()).unwrap();
    assert!(!kept.exists());
}
