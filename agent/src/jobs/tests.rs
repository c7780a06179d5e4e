use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use foundry_host::fakes::FakeHost;
use foundry_proto::agent::v1::{Assignment, Directory, File, Task, file, task::Kind};
use foundry_proto::layout::AGENT_UNIT;
use foundry_proto::{FleetId, HostId};
use fs_err as fs;
use prost::Message as _;

use super::{LeaveError, leave};
use crate::config::{HmacKey, Places, Settings};
use crate::ledger::{Ledger, Record, Stamp};

struct Bed {
    _owner: tempfile::TempDir,
    places: Places,
    host: FakeHost,
}

impl Bed {
    /// An enrolled host, on which a file and a data folder were made.
    fn new() -> Self {
        Self::with(|_| {})
    }

    /// The same, with a task that was changed so.
    fn with(change: impl FnOnce(&mut Task)) -> Self {
        let owner = tempfile::tempdir().unwrap();
        let places = Places::below(Utf8Path::from_path(owner.path()).unwrap());
        for folder in [
            &places.config,
            &places.state,
            &places.opt,
            &places.units,
            &places.runtime,
        ] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(places.unit(), "[Service]").unwrap();
        let settings = Settings {
            fleet: FleetId::generate("test"),
            host_id: HostId::generate(),
            hostname: "node1".parse().unwrap(),
            epoch: 1,
            addresses: Vec::new(),
            hmac_key: HmacKey::default(),
            since_ms: 0,
        };
        settings.write(&places.settings()).unwrap();
        let host = FakeHost::new();
        host.systemd.install(AGENT_UNIT);
        host.files.put("/etc/app/config", "text");
        host.files.put("/srv/data/file", "data");
        write_record(&places, change);
        Self {
            _owner: owner,
            places,
            host,
        }
    }

    async fn leave(&self) -> Result<super::Retired, LeaveError> {
        leave(&self.places, Arc::new(self.host.host()), false).await
    }
}

fn write_record(places: &Places, change: impl FnOnce(&mut Task)) {
    let task = |id: &str, kind| Task {
        id: id.to_owned(),
        feature_level: 1,
        kind: Some(kind),
        ..Task::default()
    };
    let data = Directory {
        path: "/srv/data".to_owned(),
        data: true,
        ..Directory::default()
    };
    let content = Some(file::Content::Inline(b"text".to_vec().into()));
    let file = File {
        path: "/etc/app/config".to_owned(),
        content,
        ..File::default()
    };
    let mut file = task("file", Kind::File(file));
    change(&mut file);
    let tasks = vec![task("data", Kind::Directory(data)), file];
    let assignment = Assignment {
        name: "app".to_owned(),
        tasks: tasks.clone(),
        ..Assignment::default()
    };
    let record = Record {
        name: "app".to_owned(),
        revision: 1,
        content: assignment.encode_to_vec().into(),
        achieved_tasks: tasks,
        ..Record::default()
    };
    let now = Stamp::default();
    Ledger::open(&places.ledger(), "ledger", &now)
        .unwrap()
        .note(record, &now)
        .unwrap();
}

#[tokio::test]
async fn leaving_by_hand_takes_everything_of_ours_and_names_what_stays() {
    let bed = Bed::new();
    let retired = bed.leave().await.unwrap();
    assert_eq!(retired.kept, ["/srv/data"]);
    assert!(retired.failures.is_empty(), "{retired:?}");
    assert_eq!(bed.host.files.text("/etc/app/config"), None);
    assert!(bed.host.files.text("/srv/data/file").is_some());
    let Places {
        config,
        state,
        opt,
        runtime,
        ..
    } = &bed.places;
    let left: Vec<&Utf8PathBuf> = [config, state, opt, runtime]
        .into_iter()
        .filter(|folder| folder.exists())
        .collect();
    assert!(left.is_empty() && !bed.places.unit().exists(), "{left:?}");
    let calls = bed.host.systemd.calls();
    assert_eq!(calls.first().unwrap(), "stop foundry-agent.service");
    assert!(
        calls.contains(&"disable foundry-agent.service".to_owned()),
        "{calls:?}"
    );
    // Again: nothing is there, and that is no error.
    assert_eq!(bed.leave().await.unwrap(), super::Retired::default());
}

#[tokio::test]
async fn what_cannot_be_undone_keeps_the_agent_on_the_host() {
    let bed = Bed::with(|task| task.kind = None);
    let retired = bed.leave().await.unwrap();
    assert!(
        retired.failures[0].starts_with("app: file: "),
        "{retired:?}"
    );
    assert!(bed.places.settings().exists() && bed.places.unit().exists());
    let calls = bed.host.systemd.calls();
    assert_eq!(calls.last().unwrap(), "start foundry-agent.service");
}

#[tokio::test]
async fn an_unreadable_enrolment_is_not_taken_for_none() {
    let bed = Bed::new();
    fs::write(bed.places.settings(), "{").unwrap();
    assert!(matches!(bed.leave().await, Err(LeaveError::Settings(_))));
    assert!(bed.host.systemd.calls().is_empty() && bed.places.unit().exists());
}
