//! Records and logs: a batch happens whole or not at all, and what was answered is there after a crash.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::Place;
use crate::store::{
    Change, Expect, Log, Range, Record, Retention, Store as _, StoreError, Table, Write,
};

/// What a test does.
#[derive(Debug, Clone)]
enum Act {
    Put(u8, u8, Believe),
    Delete(u8, Believe),
    Append(u8),
    /// Two puts, of which the second contradicts what is there.
    Contradict(u8),
    Reopen,
}

#[derive(Debug, Clone, Copy)]
enum Believe {
    Anything,
    Nothing,
    TheTruth,
    Something,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let believe = prop_oneof![
        Just(Believe::Anything),
        Just(Believe::Nothing),
        Just(Believe::TheTruth),
        Just(Believe::Something)
    ];
    let act = prop_oneof![
        4 => (0u8..4, any::<u8>(), believe.clone()).prop_map(|(k, v, b)| Act::Put(k, v, b)),
        2 => (0u8..4, believe).prop_map(|(k, b)| Act::Delete(k, b)),
        2 => any::<u8>().prop_map(Act::Append),
        1 => (0u8..4).prop_map(Act::Contradict),
        1 => Just(Act::Reopen),
    ];
    proptest::collection::vec(act, 1..40)
}

fn put(key: &str, value: &[u8], expect: Expect) -> Write {
    let value = bytes::Bytes::copy_from_slice(value);
    Write::Put {
        table: Table::Hosts,
        key: key.to_owned(),
        value,
        expect,
    }
}

fn append(value: u8, at_ms: u64) -> Write {
    let value = bytes::Bytes::copy_from_slice(&[value]);
    Write::Append {
        log: Log::Events,
        topic: format!("t{}", value[0] % 2),
        at_ms,
        value,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_file_says_what_a_map_says(acts in acts()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let place = Place::new();
            let mut store = place.open();
            let mut map: BTreeMap<String, (Vec<u8>, u64)> = BTreeMap::new();
            let mut log = Vec::new();
            for act in acts {
                match act {
                    Act::Put(key, value, believe) => {
                        let key = format!("k{key}");
                        let there = map.get(&key).map(|(_, version)| *version);
                        let (expect, right) = expectation(believe, there);
                        let written = store.write(vec![put(&key, &[value], expect)]).await;
                        prop_assert_eq!(written.is_ok(), right);
                        if right {
                            map.insert(key, (vec![value], there.unwrap_or_default() + 1));
                        }
                    }
                    Act::Delete(key, believe) => {
                        let key = format!("k{key}");
                        let there = map.get(&key).map(|(_, version)| *version);
                        let (expect, right) = expectation(believe, there);
                        let delete = Write::Delete { table: Table::Hosts, key: key.clone(), expect };
                        prop_assert_eq!(store.write(vec![delete]).await.is_ok(), right);
                        if right {
                            map.remove(&key);
                        }
                    }
                    Act::Append(value) => {
                        let numbers = store.write(vec![append(value, 1)]).await.unwrap();
                        log.push((numbers[0], value));
                    }
                    Act::Contradict(key) => {
                        let batch = vec![
                            append(0, 1),
                            put(&format!("k{key}"), b"new", Expect::Any),
                            put("never there", b"", Expect::Version(7)),
                        ];
                        let refused = store.write(batch).await.unwrap_err();
                        prop_assert!(refused.is_conflict());
                    }
                    Act::Reopen => {
                        // No farewell: the writer ends because nobody can write any more.
                        drop(store);
                        store = place.open();
                    }
                }
            }
            let found = store.list(Table::Hosts, "k").await.unwrap();
            let found: BTreeMap<_, _> = found
                .into_iter()
                .map(|(key, Record { value, version })| (key, (value.to_vec(), version)))
                .collect();
            prop_assert_eq!(found, map);
            let entries = store.read(Log::Events, Range::default()).await.unwrap();
            let entries: Vec<_> = entries.iter().map(|entry| (entry.number, entry.value[0])).collect();
            prop_assert_eq!(entries, log);
            Ok(())
        })?;
    }
}

fn expectation(believe: Believe, there: Option<u64>) -> (Expect, bool) {
    match believe {
        Believe::Anything => (Expect::Any, true),
        Believe::Nothing => (Expect::Absent, there.is_none()),
        Believe::TheTruth => (there.map_or(Expect::Absent, Expect::Version), true),
        Believe::Something => (Expect::Version(there.unwrap_or(1) + 100), false),
    }
}

#[tokio::test]
async fn of_many_writers_one_wins() {
    let place = Place::new();
    let store = std::sync::Arc::new(place.open());
    let writers = (0..50u8).map(|writer| {
        let store = std::sync::Arc::clone(&store);
        tokio::spawn(async move { store.write(vec![put("k", &[writer], Expect::Absent)]).await })
    });
    let mut won = 0;
    for writer in writers.collect::<Vec<_>>() {
        won += u32::from(writer.await.unwrap().is_ok());
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_full_disk_is_named_and_leaves_nothing_half_written() {
    let place = Place::new();
    drop(place.open());
    let store = place.open();
    let full = store.limit_to_present_size().await.unwrap();
    let big = vec![7; 256 * 1024];
    let batch = vec![
        put("small", b"x", Expect::Any),
        put("big", &big, Expect::Any),
    ];
    let refused = store.write(batch).await.unwrap_err();
    assert!(
        matches!(refused, StoreError::DiskFull { .. }),
        "{refused:?}"
    );
    assert!(refused.hints()[0].contains("free some space"));
    assert_eq!(store.get(Table::Hosts, "small").await.unwrap(), None);
    // What fits still goes in, and what does not takes nobody else with it.
    let (fits, does_not) = tokio::join!(
        store.write(vec![put("small", b"x", Expect::Any)]),
        store.write(vec![put("big", &big, Expect::Any)]),
    );
    assert!(fits.is_ok() && does_not.is_err(), "limited to {full} pages");
}

#[tokio::test]
async fn watchers_hear_what_is_on_the_disk() {
    let place = Place::new();
    let store = place.open();
    let mut changes = store.watch();
    store
        .write(vec![put("k", b"1", Expect::Any), append(1, 1)])
        .await
        .unwrap();
    let changes = [changes.recv().await.unwrap(), changes.recv().await.unwrap()];
    assert_eq!(
        changes,
        [
            Change::Record(Table::Hosts, "k".to_owned()),
            Change::Appended(Log::Events, 1)
        ]
    );
}

#[tokio::test]
async fn logs_are_read_by_topic_number_and_count_and_forget_their_oldest() {
    let place = Place::new();
    let store = place.open();
    for value in 0..10 {
        store
            .write(vec![append(value, u64::from(value))])
            .await
            .unwrap();
    }
    let values = async |range| {
        let entries = store.read(Log::Events, range).await.unwrap();
        entries
            .iter()
            .map(|entry| entry.value[0])
            .collect::<Vec<_>>()
    };
    let of = |topic: &str| Range {
        topics: vec![topic.to_owned()],
        ..Range::default()
    };
    assert_eq!(values(of("t1")).await, [1, 3, 5, 7, 9]);
    assert_eq!(
        values(Range {
            most: 2,
            ..of("t1")
        })
        .await,
        [7, 9]
    );
    assert_eq!(
        values(Range {
            after: 8,
            ..Range::default()
        })
        .await,
        [8, 9]
    );
    store
        .trim(
            Log::Events,
            Retention {
                since_ms: 3,
                entries: 4,
            },
        )
        .await
        .unwrap();
    assert_eq!(values(Range::default()).await, [6, 7, 8, 9]);
    store
        .trim(
            Log::Events,
            Retention {
                since_ms: 8,
                entries: 4,
            },
        )
        .await
        .unwrap();
    assert_eq!(values(Range::default()).await, [8, 9]);
}
