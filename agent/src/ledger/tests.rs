use camino::{Utf8Path, Utf8PathBuf};
use foundry_proto::agent::v1::{
    Accepted, Assignment, Outcome, Phase, Rejected, Task, TaskResult, event::Body,
};
use fs_err as fs;
use prost::Message as _;

use super::{Ledger, LedgerError, Record, Stamp};

struct Folder {
    _owner: tempfile::TempDir,
    path: Utf8PathBuf,
}

impl Folder {
    fn new() -> Self {
        let owner = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(owner.path()).unwrap().join("ledger");
        Self {
            _owner: owner,
            path,
        }
    }

    fn open(&self) -> Ledger {
        Ledger::open(&self.path, "fresh", &now()).unwrap()
    }

    fn file(&self, name: &str) -> Utf8PathBuf {
        self.path.join(name)
    }
}

fn now() -> Stamp {
    Stamp {
        wall_ms: 1_000_000,
        boot_ms: 5_000,
        boot_id: "boot".to_owned(),
    }
}

fn record(name: &str, revision: u64) -> Record {
    let task = Task {
        id: "dir".to_owned(),
        ..Task::default()
    };
    let assignment = Assignment {
        name: name.to_owned(),
        tasks: vec![task],
        ..Assignment::default()
    };
    let mut record = Record {
        name: name.to_owned(),
        revision,
        content: assignment.encode_to_vec().into(),
        accepted: Some(now()),
        ..Record::default()
    };
    record.set_phase(Phase::Accepted);
    record
}

fn accept(ledger: &mut Ledger, name: &str, revision: u64) {
    let events = vec![(revision, Body::Accepted(Accepted {}))];
    ledger
        .commit(record(name, revision), events, &now())
        .unwrap();
}

fn conclude(ledger: &mut Ledger, name: &str, revision: u64, phase: Phase) -> bool {
    let mut record = ledger.record(name).cloned().unwrap();
    let outcome = Outcome {
        phase: phase.into(),
        ..Outcome::default()
    };
    match record.conclude(revision, outcome, &now()) {
        Some(body) => ledger
            .commit(record, vec![(revision, body)], &now())
            .is_ok(),
        None => false,
    }
}

fn reject(ledger: &mut Ledger, reason: &str) {
    let body = Body::Rejected(Rejected {
        reason: reason.to_owned(),
    });
    ledger.report("zot", 1, body, &now()).unwrap();
}

fn waiting(ledger: &Ledger) -> Vec<u64> {
    let events = ledger.unacknowledged().after(0, 1000, &now());
    events.iter().map(|event| event.number).collect()
}

fn lost(ledger: &Ledger) -> Vec<String> {
    let events = ledger.unacknowledged().after(0, 1000, &now());
    let lost = |body| match body {
        Some(Body::Lost(lost)) => Some(lost.what),
        _ => None,
    };
    events
        .into_iter()
        .filter_map(|event| lost(event.body))
        .collect()
}

#[test]
fn what_was_written_is_there_after_a_restart_and_its_events_wait_still() {
    let folder = Folder::new();
    let mut ledger = folder.open();
    accept(&mut ledger, "zot", 1);
    accept(&mut ledger, "service/whoami", 7);
    assert!(conclude(&mut ledger, "zot", 1, Phase::Achieved));
    reject(&mut ledger, "no");
    ledger
        .mention("zot", 1, Body::Task(TaskResult::default()), &now())
        .unwrap();
    assert_eq!(waiting(&ledger), [1, 2, 3, 4, 5]);
    drop(ledger);

    let ledger = folder.open();
    assert_eq!((ledger.id(), waiting(&ledger)), ("fresh", vec![1, 2, 3, 4]));
    let zot = ledger.record("zot").unwrap();
    assert_eq!(
        (zot.phase(), zot.achieved_revision),
        (Phase::Achieved, Some(1))
    );
    assert_eq!(zot.achieved_tasks.len(), 1);
    assert_eq!(
        ledger.record("service/whoami").unwrap().phase(),
        Phase::Accepted
    );
}

#[test]
fn a_revision_has_one_outcome() {
    let folder = Folder::new();
    let mut ledger = folder.open();
    accept(&mut ledger, "zot", 1);
    assert!(
        !conclude(&mut ledger, "zot", 2, Phase::Achieved),
        "another revision"
    );
    assert!(conclude(&mut ledger, "zot", 1, Phase::Failed));
    assert!(!conclude(&mut ledger, "zot", 1, Phase::Achieved));
    drop(ledger);
    assert!(!conclude(&mut folder.open(), "zot", 1, Phase::Achieved));
}

#[test]
fn a_number_is_never_given_out_twice() {
    let folder = Folder::new();
    let mut last = 0;
    for _ in 0..3 {
        let mut ledger = folder.open();
        ledger
            .mention("zot", 1, Body::Task(TaskResult::default()), &now())
            .unwrap();
        let number = *waiting(&ledger).last().unwrap();
        assert!(number > last);
        last = number;
    }
}

#[test]
fn acknowledged_events_are_forgotten_for_good_once_the_ledger_is_closed() {
    let folder = Folder::new();
    let mut ledger = folder.open();
    accept(&mut ledger, "zot", 1);
    reject(&mut ledger, "first");
    reject(&mut ledger, "second");
    ledger.acknowledge(2).unwrap();
    assert_eq!(waiting(&ledger), [3]);
    ledger.acknowledge(3).unwrap();
    assert_eq!(fs::metadata(folder.file("journal")).unwrap().len(), 0);
    ledger.acknowledge(u64::MAX).unwrap();
    reject(&mut ledger, "third");
    assert_eq!(
        waiting(&ledger),
        [4],
        "an absurd acknowledgement covers nothing to come"
    );
    ledger.close(&now()).unwrap();
    drop(ledger);
    assert_eq!(waiting(&folder.open()), [4]);
}

#[test]
fn a_journal_cut_anywhere_keeps_what_stands_before_the_cut() {
    let folder = Folder::new();
    let mut ledger = folder.open();
    let mut ends = vec![0];
    for reason in ["one", "two", "three"] {
        reject(&mut ledger, reason);
        ends.push(fs::metadata(folder.file("journal")).unwrap().len());
    }
    drop(ledger);
    let whole = fs::read(folder.file("journal")).unwrap();
    for cut in 0..whole.len() {
        fs::write(folder.file("journal"), &whole[..cut]).unwrap();
        let mut ledger = folder.open();
        let kept = ends
            .iter()
            .skip(1)
            .filter(|end| **end <= cut as u64)
            .count();
        assert_eq!(waiting(&ledger).len(), kept, "cut at {cut}");
        reject(&mut ledger, "after");
        drop(ledger);
        let ledger = folder.open();
        assert_eq!(
            waiting(&ledger).len(),
            kept + 1,
            "cut at {cut}, then written on"
        );
    }
}

#[test]
fn a_journal_that_was_flipped_anywhere_never_loses_an_older_event() {
    let folder = Folder::new();
    let mut ledger = folder.open();
    let mut ends = vec![0];
    for reason in ["one", "two", "three"] {
        reject(&mut ledger, reason);
        ends.push(fs::metadata(folder.file("journal")).unwrap().len());
    }
    drop(ledger);
    let whole = fs::read(folder.file("journal")).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x01;
        fs::write(folder.file("journal"), flipped).unwrap();
        let ledger = folder.open();
        let before = ends.iter().skip(1).filter(|end| **end <= at as u64).count();
        assert!(waiting(&ledger).len() >= before, "flipped at {at}");
    }
}

#[test]
fn a_record_cut_anywhere_is_set_aside_and_reported_and_harms_no_other() {
    let folder = Folder::new();
    let mut ledger = folder.open();
    accept(&mut ledger, "zot", 1);
    accept(&mut ledger, "service/whoami", 2);
    drop(ledger);
    let path = folder.file("service_whoami.assignment");
    let whole = fs::read(&path).unwrap();
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let ledger = folder.open();
        assert!(ledger.record("service/whoami").is_none(), "cut at {cut}");
        assert_eq!(ledger.record("zot").unwrap().revision, 1);
        assert!(
            lost(&ledger)
                .last()
                .unwrap()
                .contains("assignment service/whoami")
        );
        assert!(!path.exists() && folder.file("service_whoami.assignment.damaged-1").exists());
    }
    let aside = fs::read_dir(&folder.path).unwrap().count();
    assert!(aside < 20, "what is set aside is bounded: {aside}");
}

#[test]
fn a_ledger_cut_anywhere_begins_anew_and_keeps_its_assignments() {
    let folder = Folder::new();
    let mut ledger = folder.open();
    accept(&mut ledger, "zot", 1);
    drop(ledger);
    let whole = fs::read(folder.file("ledger")).unwrap();
    for cut in 0..whole.len() {
        fs::write(folder.file("ledger"), &whole[..cut]).unwrap();
        let ledger = Ledger::open(&folder.path, "another", &now()).unwrap();
        assert_eq!(ledger.id(), "another");
        assert_eq!(ledger.record("zot").unwrap().revision, 1);
        let numbers = waiting(&ledger);
        assert!(
            numbers.windows(2).all(|pair| pair[0] < pair[1]),
            "{numbers:?}"
        );
    }
}

#[test]
fn a_newer_format_is_refused_by_name_and_left_alone() {
    let folder = Folder::new();
    let mut ledger = folder.open();
    accept(&mut ledger, "zot", 1);
    drop(ledger);
    let path = folder.file("zot.assignment");
    let newer = super::frame::encode_as(9, b"of the future");
    fs::write(&path, &newer).unwrap();
    let refused = Ledger::open(&folder.path, "fresh", &now()).map(|_| ());
    let Err(LedgerError::TooNew {
        version: 9,
        path: named,
        ..
    }) = refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!(named, path);
    assert_eq!(fs::read(&path).unwrap(), newer);
}

#[test]
fn two_agents_do_not_share_a_ledger() {
    let folder = Folder::new();
    let _first = folder.open();
    let second = Ledger::open(&folder.path, "fresh", &now()).map(|_| ());
    assert!(
        matches!(second, Err(LedgerError::Busy { .. })),
        "{second:?}"
    );
}

#[test]
fn a_write_that_was_broken_off_leaves_nothing_behind() {
    let folder = Folder::new();
    drop(folder.open());
    let unfinished = folder.file(".zot.assignment.new");
    fs::write(&unfinished, "half").unwrap();
    drop(folder.open());
    assert!(!unfinished.exists());
}

#[test]
fn only_the_oldest_removed_assignments_are_forgotten() {
    let folder = Folder::new();
    let mut ledger = folder.open();
    for revision in 1..=4 {
        let name = format!("service/s{revision}");
        let mut record = record(&name, revision);
        record.accepted = Some(Stamp {
            wall_ms: revision,
            ..now()
        });
        record.forget();
        ledger.note(record, &now()).unwrap();
    }
    accept(&mut ledger, "zot", 1);
    ledger.prune_removed(2).unwrap();
    let names: Vec<_> = ledger
        .records()
        .map(|record| record.name.as_str())
        .collect();
    assert_eq!(names, ["service/s3", "service/s4", "zot"]);
    assert_eq!(
        folder.open_again(ledger),
        names_of(&["service/s3", "service/s4", "zot"])
    );
}

fn names_of(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

impl Folder {
    fn open_again(&self, ledger: Ledger) -> Vec<String> {
        drop(ledger);
        self.open()
            .records()
            .map(|record| record.name.clone())
            .collect()
    }
}

#[test]
fn what_may_be_on_the_host_is_undone_newest_first() {
    let task = |id: &str, level| Task {
        id: id.to_owned(),
        feature_level: level,
        ..Task::default()
    };
    let mut record = record("zot", 1);
    record.achieved_tasks = vec![task("a", 1), task("b", 1)];
    record.begin(Phase::Applying, &[task("a", 2), task("b", 1), task("c", 1)]);
    record.begin(Phase::Applying, &[task("a", 2), task("b", 1), task("c", 1)]);
    let undone = |record: &Record| -> Vec<_> {
        record
            .to_undo()
            .iter()
            .map(|task| (task.id.clone(), task.feature_level))
            .collect()
    };
    let expected = [("c", 1), ("a", 2), ("b", 1), ("a", 1)].map(|(id, n)| (id.to_owned(), n));
    assert_eq!(undone(&record), expected);
    assert_eq!(record.previous("a").unwrap().feature_level, 2);
    let left: Vec<_> = record
        .left_over(&[task("a", 3)])
        .into_iter()
        .map(|t| t.id)
        .collect();
    assert_eq!(left, ["c", "b"]);
    assert_eq!((record.begun, record.failures), (2, 0));
}

#[test]
fn an_outcome_that_the_disk_does_not_take_is_told_and_written_later() {
    let folder = Folder::new();
    let mut ledger = folder.open();
    accept(&mut ledger, "zot", 1);
    // A folder in its place: the file cannot be replaced.
    let path = folder.file("zot.assignment");
    fs::remove_file(&path).unwrap();
    fs::create_dir_all(path.join("in the way")).unwrap();
    let mut record = ledger.record("zot").cloned().unwrap();
    let outcome = Outcome {
        phase: Phase::Achieved.into(),
        ..Outcome::default()
    };
    let body = record.conclude(1, outcome, &now()).unwrap();
    assert!(ledger.note(record.clone(), &now()).is_err());
    ledger.commit_anyway(record, vec![(1, body)], &now());
    assert_eq!(ledger.record("zot").unwrap().phase(), Phase::Achieved);
    assert_eq!(waiting(&ledger).len(), 2);
    assert!(ledger.catch_up(&now()).is_err());

    fs::remove_dir_all(&path).unwrap();
    ledger.catch_up(&now()).unwrap();
    drop(ledger);
    let ledger = folder.open();
    assert_eq!(ledger.record("zot").unwrap().phase(), Phase::Achieved);
    assert_eq!(waiting(&ledger).len(), 2);
}
