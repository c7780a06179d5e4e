//! Whole tasks against a host in memory.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use foundry_host::containers::ContainerState;
use foundry_host::fakes::{Behaviour, FakeHost};
use foundry_host::ports::Protocol;
use foundry_proto::agent::v1::task::Kind;
use foundry_proto::agent::v1::{
    Action, ArtifactRef, Command, CommandProbe, ContainerService, Directory, EnvVar, File,
    HealthCheck, Image, K3sNode, Package, PortMapping, Pull, SlotRef, Switch, Task, Unit, Volume,
    command, file, health_check, image,
};
use tokio_util::sync::CancellationToken;

use super::{
    Applied, ArtifactError, Artifacts, Context, ProgressSink, TaskError, apply, remove, unsupported,
};

const IMAGE: &str = "docker.io/traefik/whoami:v1.11";
const ARCHIVE: &str = "/artifacts/whoami";
const UNIT: &str = "foundry-whoami.service";

/// Every artifact is at the same path.
struct OneArtifact;

#[async_trait]
impl Artifacts for OneArtifact {
    async fn fetch(&self, _: &ArtifactRef) -> Result<Utf8PathBuf, ArtifactError> {
        Ok(ARCHIVE.into())
    }
}

fn context(fake: &FakeHost) -> Context {
    Context {
        host: Arc::new(fake.host()),
        fleet: "test-1a2b3c".parse().unwrap(),
        artifacts: Arc::new(OneArtifact),
        progress: ProgressSink::none(),
        cancel: CancellationToken::new(),
    }
}

fn task(id: &str, kind: Kind) -> Task {
    Task {
        id: id.to_owned(),
        feature_level: 1,
        slots: Vec::new(),
        kind: Some(kind),
    }
}

fn image_task() -> Task {
    let image = Image {
        reference: IMAGE.to_owned(),
        source: Some(image::Source::Archive(ArtifactRef::default())),
        identities: vec!["sha256:one".to_owned()],
    };
    task("image", Kind::Image(image))
}

fn service() -> ContainerService {
    ContainerService {
        name: "whoami".to_owned(),
        image: IMAGE.to_owned(),
        ports: vec![PortMapping {
            host_port: 8080,
            container_port: 80,
            ..PortMapping::default()
        }],
        env: vec![EnvVar {
            name: "TOKEN".to_owned(),
            value: "canary".to_owned(),
        }],
        volumes: vec![Volume {
            source: "/var/lib/whoami".to_owned(),
            target: "/data".to_owned(),
            ..Volume::default()
        }],
        image_identities: vec!["sha256:one".to_owned()],
        ..ContainerService::default()
    }
}

fn service_task() -> Task {
    task("service", Kind::ContainerService(service()))
}

/// What applying this one task would change.
async fn observe(
    cx: &Context,
    task: &Task,
) -> Result<foundry_proto::agent::v1::TaskDiff, TaskError> {
    let mut diffs = crate::tasks::observe(cx, std::slice::from_ref(task)).await?;
    Ok(diffs.remove(0))
}

async fn action(cx: &Context, task: &Task) -> Action {
    observe(cx, task).await.unwrap().action()
}

async fn must_apply(cx: &Context, task: &Task) -> Applied {
    apply(cx, task, None, &[])
        .await
        .unwrap_or_else(|error| panic!("{}: {error}", task.id))
}

/// Applies what is not there, and sees that a second time changes nothing.
async fn applies_once(fake: &FakeHost, task: &Task) {
    let cx = context(fake);
    assert_eq!(action(&cx, task).await, Action::Create, "{}", task.id);
    assert!(must_apply(&cx, task).await.changed, "{}", task.id);
    let (writes, calls) = (fake.files.writes(), fake.systemd.calls());
    assert_eq!(action(&cx, task).await, Action::Unchanged, "{}", task.id);
    assert!(!must_apply(&cx, task).await.changed, "{}", task.id);
    assert_eq!(
        (fake.files.writes(), fake.systemd.calls()),
        (writes, calls),
        "{}",
        task.id
    );
}

/// A host with the service running.
async fn running() -> (FakeHost, Context) {
    let fake = FakeHost::new();
    fake.runtimes
        .containers()
        .offer(ARCHIVE, "sha256:one", &[IMAGE]);
    let cx = context(&fake);
    must_apply(&cx, &image_task()).await;
    must_apply(&cx, &service_task()).await;
    (fake, cx)
}

#[tokio::test(start_paused = true)]
async fn every_kind_applies_once() {
    let fake = FakeHost::new();
    fake.packages.offer("nfs-common");
    fake.runtimes.containers().offer(ARCHIVE, "sha256:one", &[]);
    fake.exec.end("/usr/bin/test", 1, "");
    let directory = Directory {
        path: "/srv/a".to_owned(),
        mode: 0o750,
        ..Directory::default()
    };
    let content = Some(file::Content::Inline("a = 1\n".into()));
    let file = File {
        path: "/srv/a/b.conf".to_owned(),
        content,
        ..File::default()
    };
    let unit = Unit {
        name: "foundry-a.service".to_owned(),
        text: "[Service]\nExecStart=/usr/bin/a\n".to_owned(),
        enabled: Switch::On.into(),
        running: Switch::On.into(),
        ..Unit::default()
    };
    let names = vec!["unknown".to_owned(), "nfs-common".to_owned()];
    for task in [
        task("directory", Kind::Directory(directory)),
        task("file", Kind::File(file)),
        task("unit", Kind::Unit(unit)),
        task(
            "package",
            Kind::Package(Package {
                names,
                absent: false,
            }),
        ),
        image_task(),
        service_task(),
    ] {
        applies_once(&fake, &task).await;
    }
    assert!(fake.packages.has("nfs-common"));
}

#[tokio::test(start_paused = true)]
async fn a_service_is_a_labelled_container_under_an_enabled_unit() {
    let (fake, _) = running().await;
    let calls = [format!("enable {UNIT}"), format!("start {UNIT}")];
    assert_eq!(fake.systemd.calls(), calls);
    let [container] = &fake.runtimes.containers().list()[..] else {
        panic!("one container")
    };
    assert_eq!(
        (container.name.as_str(), container.ports[0].port),
        ("foundry-whoami", 8080)
    );
    assert_eq!(container.labels["foundry.fleet"], "test-1a2b3c");
    assert_eq!(
        fake.files.text("/etc/foundry/services/whoami.env").unwrap(),
        "TOKEN=canary\n"
    );
    assert_eq!(
        fake.files
            .text("/etc/foundry/services/whoami.folders")
            .unwrap(),
        "/var/lib/whoami\n"
    );
    // The value stands nowhere else.
    for (path, content) in fake.files.all() {
        let has_it = String::from_utf8_lossy(&content).contains("canary");
        assert_eq!(has_it, path == "/etc/foundry/services/whoami.env", "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_setting_restarts_the_service_once() {
    let (fake, cx) = running().await;
    let changed = ContainerService {
        user: "1000".to_owned(),
        ..service()
    };
    let changed = task("service", Kind::ContainerService(changed));
    let diff = observe(&cx, &changed).await.unwrap();
    assert_eq!(diff.action(), Action::Update);
    assert!(diff.diff.contains("+    --user=1000 \\"), "{}", diff.diff);
    assert!(must_apply(&cx, &changed).await.changed);
    assert_eq!(
        fake.systemd.calls().last().unwrap(),
        &format!("restart {UNIT}")
    );
    assert_eq!(action(&cx, &changed).await, Action::Unchanged);
}

#[tokio::test(start_paused = true)]
async fn a_changed_image_of_the_same_name_restarts_the_service() {
    let (fake, cx) = running().await;
    fake.runtimes
        .containers()
        .offer(ARCHIVE, "sha256:two", &[IMAGE]);
    let mut image = image_task();
    let mut changed = service();
    changed.image_identities = vec!["sha256:two".to_owned()];
    if let Some(Kind::Image(image)) = &mut image.kind {
        image.identities = vec!["sha256:two".to_owned()];
    }
    let changed = task("service", Kind::ContainerService(changed));
    assert_eq!(action(&cx, &image).await, Action::Update);
    must_apply(&cx, &image).await;
    must_apply(&cx, &changed).await;
    assert_eq!(fake.runtimes.containers().list()[0].image_id, "sha256:two");
}

#[tokio::test(start_paused = true)]
async fn enabling_alone_restarts_nothing() {
    let (fake, cx) = running().await;
    fake.systemd
        .change(UNIT, |state| state.file_state = "disabled".to_owned());
    must_apply(&cx, &service_task()).await;
    assert_eq!(
        fake.systemd.calls().last().unwrap(),
        &format!("enable {UNIT}")
    );
}

#[tokio::test(start_paused = true)]
async fn a_change_by_hand_is_drift_and_put_right() {
    let (fake, cx) = running().await;
    fake.files.put(
        &format!("/etc/systemd/system/{UNIT}"),
        "[Service]\nExecStart=/bin/evil\n",
    );
    let diff = observe(&cx, &service_task()).await.unwrap();
    assert!(diff.action() == Action::Update && diff.diff.contains("-ExecStart=/bin/evil"));
    must_apply(&cx, &service_task()).await;
    assert_eq!(action(&cx, &service_task()).await, Action::Unchanged);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_ours_is_neither_stopped_nor_replaced() {
    let fake = FakeHost::new();
    fake.runtimes
        .containers()
        .offer(ARCHIVE, "sha256:one", &[IMAGE]);
    let cx = context(&fake);
    must_apply(&cx, &image_task()).await;
    fake.runtimes.containers().add(ContainerState {
        id: "foreign".to_owned(),
        name: "foundry-whoami".to_owned(),
        image: "nginx".to_owned(),
        running: true,
        ..ContainerState::default()
    });
    let diff = observe(&cx, &service_task()).await.unwrap();
    assert_eq!(diff.action(), Action::Blocked);
    let error = apply(&cx, &service_task(), None, &[]).await.unwrap_err();
    assert!(
        matches!(&error, TaskError::Blocked(text) if text.contains("nginx")),
        "{error}"
    );
    assert!(fake.systemd.calls().is_empty());
    remove(&cx, &service_task(), true).await.unwrap();
    assert_eq!(fake.runtimes.containers().list()[0].id, "foreign");
    assert!(fake.runtimes.containers().removed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_taken_port_blocks_by_the_name_of_its_owner_unless_it_is_our_own() {
    let (fake, cx) = running().await;
    let everywhere = std::net::Ipv4Addr::UNSPECIFIED.into();
    fake.ports
        .take(Protocol::Tcp, everywhere, 8080, "docker-proxy");
    assert_eq!(
        action(&cx, &service_task()).await,
        Action::Unchanged,
        "it is ours"
    );
    fake.ports.take(Protocol::Tcp, everywhere, 9090, "nginx");
    let port = |host_port| {
        let ports = vec![PortMapping {
            host_port,
            container_port: 80,
            ..PortMapping::default()
        }];
        let name = "other".to_owned();
        task(
            "service",
            Kind::ContainerService(ContainerService {
                name,
                ports,
                ..service()
            }),
        )
    };
    let diff = observe(&cx, &port(9090)).await.unwrap();
    assert_eq!(diff.diff, "port 9090/tcp is taken by nginx (pid 101)");
    let diff = observe(&cx, &port(8080)).await.unwrap();
    assert_eq!(
        diff.diff,
        "port 8080/tcp is taken by container foundry-whoami"
    );
}

#[tokio::test(start_paused = true)]
async fn what_forwards_to_a_container_that_starts_is_ours() {
    let (fake, cx) = running().await;
    let everywhere = std::net::Ipv4Addr::UNSPECIFIED.into();
    fake.ports
        .take(Protocol::Tcp, everywhere, 8080, "docker-proxy");
    let containers = fake.runtimes.containers();
    containers.change("foundry-whoami", |container| {
        container.running = false;
        container.ports.clear();
    });
    assert_eq!(action(&cx, &service_task()).await, Action::Unchanged);
    containers.change("foundry-whoami", |container| container.running = true);
    assert_eq!(
        action(&cx, &service_task()).await,
        Action::Blocked,
        "a container that runs publishes nothing more"
    );
}

#[tokio::test(start_paused = true)]
async fn a_service_that_ends_at_once_fails_with_its_last_words() {
    let fake = FakeHost::new();
    fake.runtimes
        .containers()
        .offer(ARCHIVE, "sha256:one", &[IMAGE]);
    fake.systemd.behave(UNIT, Behaviour::Crashes { code: 1 });
    fake.systemd.write_journal(UNIT, "no such flag: --bad");
    let cx = context(&fake);
    must_apply(&cx, &image_task()).await;
    let error = apply(&cx, &service_task(), None, &[]).await.unwrap_err();
    let expected = format!("{UNIT} failed (exit-code 1)\n  no such flag: --bad");
    assert_eq!(error.to_string(), expected);
    // A restart by systemd looks like running, and is none.
    fake.systemd
        .behave(UNIT, Behaviour::CrashesOnce { code: 2 });
    let error = apply(&cx, &service_task(), None, &[]).await.unwrap_err();
    assert!(error.to_string().contains("restarted 1 times"), "{error}");
    // It goes on running after that: nothing is left to change.
    assert!(!must_apply(&cx, &service_task()).await.changed);
}

#[tokio::test(start_paused = true)]
async fn a_crash_while_it_settles_is_seen() {
    let fake = FakeHost::new();
    fake.runtimes
        .containers()
        .offer(ARCHIVE, "sha256:one", &[IMAGE]);
    let cx = context(&fake);
    must_apply(&cx, &image_task()).await;
    let later = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        fake.systemd.change(UNIT, |state| state.restarts = 1);
    };
    let started = tokio::time::Instant::now();
    let task = service_task();
    let (applied, ()) = tokio::join!(apply(&cx, &task, None, &[]), later);
    assert!(
        matches!(applied, Err(TaskError::Unit { .. })),
        "{applied:?}"
    );
    assert!(started.elapsed() < Duration::from_secs(6));
}

#[tokio::test(start_paused = true)]
async fn a_health_check_decides_when_a_start_is_done() {
    let fake = FakeHost::new();
    fake.runtimes
        .containers()
        .offer(ARCHIVE, "sha256:one", &[IMAGE]);
    let cx = context(&fake);
    must_apply(&cx, &image_task()).await;
    let argv = vec!["/usr/bin/probe".to_owned()];
    let health = HealthCheck {
        probe: Some(health_check::Probe::Command(CommandProbe { argv })),
        start_period_ms: 3000,
        ..HealthCheck::default()
    };
    let service = ContainerService {
        health: Some(health),
        ..service()
    };
    let task = task("service", Kind::ContainerService(service));
    fake.exec.end("/usr/bin/probe", 1, "not ready");
    let error = apply(&cx, &task, None, &[]).await.unwrap_err();
    let said = "foundry-whoami.service is not healthy after 3 s: \
                /usr/bin/probe exited with 1: not ready";
    assert_eq!(error.to_string(), said);
    let error = apply(&cx, &task, None, &[]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        said,
        "running alone is not enough the second time either"
    );
    fake.exec.end("/usr/bin/probe", 0, "");
    fake.systemd
        .change(UNIT, |state| state.active = Default::default());
    let started = tokio::time::Instant::now();
    must_apply(&cx, &task).await;
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "it waits no longer than needed"
    );
}

#[tokio::test(start_paused = true)]
async fn removal_keeps_data_and_lists_it_unless_purged() {
    let (fake, cx) = running().await;
    let removed = remove(&cx, &service_task(), false).await.unwrap();
    assert_eq!(removed.kept, ["/var/lib/whoami"]);
    assert!(fake.runtimes.containers().list().is_empty());
    assert_eq!(fake.files.text(format!("/etc/systemd/system/{UNIT}")), None);
    assert_eq!(fake.files.text("/etc/foundry/services/whoami.env"), None);
    assert_eq!(
        remove(&cx, &image_task(), false).await.unwrap().kept,
        [""; 0]
    );
    assert_eq!(fake.runtimes.containers().removed(), [IMAGE]);
    // Again is no error, and purging finds what was kept.
    let removed = remove(&cx, &service_task(), true).await.unwrap();
    assert!(removed.kept.is_empty(), "{removed:?}");
    let host = fake.host();
    assert_eq!(
        host.files
            .stat(Utf8Path::new("/var/lib/whoami"))
            .await
            .unwrap(),
        None
    );
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_was_there_before_is_never_purged() {
    let fake = FakeHost::new();
    fake.runtimes
        .containers()
        .offer(ARCHIVE, "sha256:one", &[IMAGE]);
    fake.files.put("/var/lib/whoami/precious", "");
    let cx = context(&fake);
    must_apply(&cx, &image_task()).await;
    must_apply(&cx, &service_task()).await;
    let removed = remove(&cx, &service_task(), true).await.unwrap();
    assert_eq!(removed.kept, ["/var/lib/whoami"]);
    assert!(fake.files.text("/var/lib/whoami/precious").is_some());
}

#[tokio::test(start_paused = true)]
async fn an_image_that_others_use_or_that_was_pulled_stays() {
    let (fake, cx) = running().await;
    let kept = remove(&cx, &image_task(), false).await.unwrap().kept;
    assert_eq!(
        kept,
        [format!("image {IMAGE} (used by container foundry-whoami)")]
    );
    fake.runtimes
        .containers()
        .offer("docker.io/a/b:1", "sha256:b", &[]);
    let image = Image {
        reference: "docker.io/a/b:1".to_owned(),
        source: Some(image::Source::Pull(Pull::default())),
        identities: Vec::new(),
    };
    let pulled = task("image", Kind::Image(image));
    applies_once(&fake, &pulled).await;
    assert_eq!(
        remove(&cx, &pulled, true).await.unwrap().kept,
        ["image docker.io/a/b:1 (pulled)"]
    );
}

#[tokio::test(start_paused = true)]
async fn another_image_than_the_right_one_is_no_success() {
    let fake = FakeHost::new();
    fake.runtimes
        .containers()
        .offer(ARCHIVE, "sha256:other", &[IMAGE]);
    let error = apply(&context(&fake), &image_task(), None, &[])
        .await
        .unwrap_err();
    assert!(matches!(error, TaskError::OtherImage { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn without_a_runtime_it_is_blocked_unless_a_package_brings_one() {
    let fake = FakeHost::new();
    fake.runtimes.set_silent(true);
    fake.packages.offer("docker.io");
    let cx = context(&fake);
    let diff = observe(&cx, &image_task()).await.unwrap();
    assert_eq!(diff.action(), Action::Blocked);
    assert_eq!(
        diff.diff,
        "no container runtime answers: neither docker nor podman is installed"
    );
    let names = vec!["docker.io".to_owned()];
    let package = task(
        "package",
        Kind::Package(Package {
            names,
            absent: false,
        }),
    );
    let diffs = crate::tasks::observe(&cx, &[package.clone(), image_task()])
        .await
        .unwrap();
    assert_eq!(diffs[0].diff, "package docker.io");
    assert_eq!(diffs[1].action(), Action::Create);
    assert!(
        diffs[1].diff.starts_with("known after package"),
        "{}",
        diffs[1].diff
    );
    // A runtime that answers is not replaced by another package.
    fake.runtimes.set_silent(false);
    assert_eq!(action(&cx, &package).await, Action::Unchanged);
}

#[tokio::test(start_paused = true)]
async fn a_unit_restarts_for_its_text_and_for_files_that_it_reads() {
    let fake = FakeHost::new();
    let cx = context(&fake);
    let unit = |text: &str| Unit {
        name: "foundry-a.service".to_owned(),
        text: text.to_owned(),
        running: Switch::On.into(),
        restart_on_change: true,
        restart_on_tasks: vec!["config".to_owned()],
        ..Unit::default()
    };
    let task = |text| task("unit", Kind::Unit(unit(text)));
    must_apply(&cx, &task("one")).await;
    must_apply(&cx, &task("two")).await;
    let changed = ["config".to_owned()];
    assert!(
        apply(&cx, &task("two"), None, &changed)
            .await
            .unwrap()
            .changed
    );
    let starts: Vec<String> = fake
        .systemd
        .calls()
        .into_iter()
        .filter(|call| call != "reload")
        .collect();
    assert_eq!(
        starts,
        [
            "start foundry-a.service",
            "restart foundry-a.service",
            "restart foundry-a.service"
        ]
    );
    // Cut off between the file and the restart: the mark says what is left to do.
    fake.files.put("/run/foundry/restart/foundry-a.service", "");
    assert_eq!(action(&cx, &task("two")).await, Action::Update);
    must_apply(&cx, &task("two")).await;
    assert_eq!(
        fake.files.text("/run/foundry/restart/foundry-a.service"),
        None
    );
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_has_another_name_now_leaves_nothing_behind() {
    let fake = FakeHost::new();
    let cx = context(&fake);
    let unit = |name: &str| {
        let unit = Unit {
            name: name.to_owned(),
            text: "x".to_owned(),
            running: Switch::On.into(),
            ..Unit::default()
        };
        task("unit", Kind::Unit(unit))
    };
    must_apply(&cx, &unit("old.service")).await;
    let old = unit("old.service");
    apply(&cx, &unit("new.service"), Some(&old), &[])
        .await
        .unwrap();
    assert_eq!(fake.files.text("/etc/systemd/system/old.service"), None);
    assert!(
        fake.systemd
            .calls()
            .contains(&"stop old.service".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn a_command_runs_only_while_its_guard_says_so() {
    let fake = FakeHost::new();
    let cx = context(&fake);
    let argv = vec!["/usr/bin/make".to_owned(), "it".to_owned()];
    let guarded = |guard| {
        let command = Command {
            argv: argv.clone(),
            guard,
            ..Command::default()
        };
        task("command", Kind::Command(command))
    };
    let probe = CommandProbe {
        argv: vec!["/usr/bin/is-made".to_owned()],
    };
    let unless = guarded(Some(command::Guard::Unless(probe)));
    assert!(!must_apply(&cx, &unless).await.changed);
    fake.exec.end("/usr/bin/is-made", 1, "");
    let error = apply(&cx, &unless, None, &[]).await.unwrap_err();
    assert!(
        matches!(error, TaskError::Guard { .. }),
        "it ran, and changed nothing: {error}"
    );
    assert!(fake.exec.ran().contains(&"/usr/bin/make it".to_owned()));
    let creates = guarded(Some(command::Guard::Creates("/made".to_owned())));
    assert_eq!(action(&cx, &creates).await, Action::Create);
    fake.files.put("/made", "");
    assert_eq!(action(&cx, &creates).await, Action::Unchanged);
    assert!(matches!(
        observe(&cx, &guarded(None)).await,
        Err(TaskError::Invalid(_))
    ));
}

#[test]
fn what_it_does_not_know_is_refused_whole() {
    let file = || Kind::File(File::default());
    assert_eq!(unsupported(&task("a", file())), None);
    let newer = Task {
        feature_level: u32::MAX,
        ..task("a", file())
    };
    assert!(unsupported(&newer).is_some());
    let unknown = Task {
        kind: None,
        ..task("a", file())
    };
    assert!(unsupported(&unknown).is_some());
    let secret = Task {
        slots: vec![SlotRef::default()],
        ..task("a", file())
    };
    assert!(unsupported(&secret).is_some());
    assert!(unsupported(&task("a", Kind::K3sNode(K3sNode::default()))).is_some());
    let odd = Unit {
        running: 9,
        ..Unit::default()
    };
    assert!(unsupported(&task("a", Kind::Unit(odd))).is_some());
}
