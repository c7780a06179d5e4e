//! What the database gives away: nothing.

use std::os::unix::fs::PermissionsExt as _;

use foundry_proto::agent::v1::SlotValue;
use foundry_proto::{Digest, HostId};

use super::Place;
use crate::store::{HostRow, LeaseRow, Next, StoreError};

const CANARY: &[u8] = b"canary-5d1f0c";

fn next(name: &str, content: &[u8]) -> Next {
    let slot = SlotValue {
        name: "password".to_owned(),
        value: CANARY.into(),
    };
    Next {
        name: name.parse().unwrap(),
        content: bytes::Bytes::copy_from_slice(content),
        slots: vec![slot],
        retry: None,
        removed: false,
        above: 0,
        made_ms: 1,
        run: "r".to_owned(),
    }
}

#[tokio::test]
async fn no_file_of_the_database_holds_what_was_sealed() {
    let place = Place::new();
    let store = place.repositories();
    let host = HostId::generate();
    let content = [b"env PASSWORD=".as_slice(), CANARY].concat();
    let (assign, write) = store
        .assignments
        .next(host, None, next("k3s", &content))
        .unwrap();
    let sealed_hmac_key = store.hosts.seal_hmac_key(host, CANARY).unwrap();
    let row = HostRow {
        hostname: "node1".to_owned(),
        sealed_hmac_key,
        ..HostRow::default()
    };
    store.hosts.put(host, &row, None).await.unwrap();
    store.write(vec![write]).await.unwrap();

    let mut looked_at = 0;
    for entry in fs_err::read_dir(place.path.parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        let mode = fs_err::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        let bytes = fs_err::read(path).unwrap();
        looked_at += bytes.len();
        assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY));
    }
    assert!(looked_at > 4096, "the files were read");

    let wanted = store.assignments.list(host).await.unwrap();
    assert_eq!(store.assignments.open(host, &wanted[0]).unwrap(), assign);
    assert_eq!(&*store.hosts.open_hmac_key(host, &row).unwrap(), CANARY);
}

#[tokio::test]
async fn a_seal_opens_for_its_own_host_only() {
    let place = Place::new();
    let store = place.repositories();
    let (host, other) = (HostId::generate(), HostId::generate());
    let (_, write) = store
        .assignments
        .next(host, None, next("k3s", b"content"))
        .unwrap();
    store.write(vec![write]).await.unwrap();
    let wanted = store.assignments.list(host).await.unwrap();
    let refused = store.assignments.open(other, &wanted[0]).unwrap_err();
    assert!(matches!(refused, StoreError::Seal { .. }), "{refused}");
}

#[tokio::test]
async fn revisions_only_grow_and_of_two_writers_one_is_told() {
    let place = Place::new();
    let store = place.repositories();
    let host = HostId::generate();
    let name = "k3s".parse().unwrap();
    let (first, write) = store
        .assignments
        .next(host, None, next("k3s", b"1"))
        .unwrap();
    store.write(vec![write]).await.unwrap();
    let current = store.assignments.get(host, &name).await.unwrap();
    let (_, one) = store
        .assignments
        .next(host, current.as_ref(), next("k3s", b"2"))
        .unwrap();
    let (_, two) = store
        .assignments
        .next(host, current.as_ref(), next("k3s", b"3"))
        .unwrap();
    store.write(vec![one]).await.unwrap();
    assert!(store.write(vec![two]).await.unwrap_err().is_conflict());

    let current = store.assignments.get(host, &name).await.unwrap().unwrap();
    assert_eq!((first.revision, current.revision), (1, 2));
    assert_eq!(current.digest, Digest::of(b"2"));
    store
        .write(vec![store.assignments.forgetting(host, &current)])
        .await
        .unwrap();
    let tomb = store.assignments.get(host, &name).await.unwrap().unwrap();
    assert!(tomb.forgotten);
    let above = Next {
        above: 9,
        ..next("k3s", b"4")
    };
    let (fourth, _) = store.assignments.next(host, Some(&tomb), above).unwrap();
    assert_eq!(fourth.revision, 10);
}

#[tokio::test]
async fn a_store_keeps_its_id_and_a_name_belongs_to_one_host() {
    let place = Place::new();
    let id = place.repositories().meta.store_id().await.unwrap();
    let store = place.repositories();
    assert_eq!(store.meta.store_id().await.unwrap(), id);
    assert_ne!(
        Place::new().repositories().meta.store_id().await.unwrap(),
        id
    );

    let row = HostRow {
        hostname: "node1".to_owned(),
        ..HostRow::default()
    };
    let host = HostId::generate();
    store.hosts.put(host, &row, None).await.unwrap();
    let taken = store
        .hosts
        .put(HostId::generate(), &row, None)
        .await
        .unwrap_err();
    assert!(taken.is_conflict());
    let found = store
        .hosts
        .by_name(&"node1".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(found.map(|(id, _, version)| (id, version)), Some((host, 1)));
    store
        .write(store.hosts.removing(host, &row).await.unwrap())
        .await
        .unwrap();
    assert_eq!(store.hosts.list().await.unwrap().len(), 0);
    store
        .hosts
        .put(HostId::generate(), &row, None)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_lease_is_changed_only_by_who_has_read_it() {
    let place = Place::new();
    let store = place.repositories();
    let (free, version) = store.meta.lease().await.unwrap();
    assert_eq!((free, version), (LeaseRow::default(), 0));
    let mine = LeaseRow {
        holder: "anna".to_owned(),
        ..LeaseRow::default()
    };
    store.meta.set_lease(&mine, version).await.unwrap();
    let late = LeaseRow {
        holder: "bert".to_owned(),
        ..LeaseRow::default()
    };
    assert!(
        store
            .meta
            .set_lease(&late, version)
            .await
            .unwrap_err()
            .is_conflict()
    );
    assert_eq!(store.meta.lease().await.unwrap(), (mine, 1));
}
