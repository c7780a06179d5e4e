//! Tasks on the real host that the test runs on. It makes and removes units, files and containers, so it runs only where
//! `FOUNDRY_TEST_REAL_HOST=1` says that it may: as root on a host that is there for it. `FOUNDRY_TEST_IMAGE` is an archive
//! of the `whoami` image, named [`IMAGE`]; without it, services are left out. `FOUNDRY_TEST_PACKAGE` is a package that may
//! be installed, `FOUNDRY_TEST_PULL` an image that can be pulled. With `FOUNDRY_TEST_LEAVE` the service is left there, so that a reboot can be tried.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]
#![expect(
    clippy::print_stdout,
    reason = "who tries it on a host wants to see what it does"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use foundry_agent::health;
use foundry_agent::tasks::{
    self, ArtifactError, Artifacts, Context, ProgressSink, TaskError, apply, remove,
};
use foundry_host::Host;
use foundry_host::systemd::{ActiveState, UnitVerb};
use foundry_proto::agent::v1::task::Kind;
use foundry_proto::agent::v1::{
    Action, ArtifactRef, ContainerService, EnvVar, HealthCheck, HealthReport, Image, Limits,
    Package, PortMapping, Pull, Switch, Task, Unit, Volume, health_check, image,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const IMAGE: &str = "docker.io/foundry/whoami:tasks";
const UNIT: &str = "foundry-realtest.service";

struct Archive(Utf8PathBuf);

#[async_trait]
impl Artifacts for Archive {
    async fn fetch(&self, _: &ArtifactRef) -> Result<Utf8PathBuf, ArtifactError> {
        Ok(self.0.clone())
    }
}

fn may_run() -> bool {
    std::env::var("FOUNDRY_TEST_REAL_HOST").is_ok_and(|value| value == "1")
}

fn context() -> Context {
    let archive = std::env::var("FOUNDRY_TEST_IMAGE").unwrap_or_default();
    Context {
        host: Arc::new(Host::this()),
        fleet: "real-123456".parse().unwrap(),
        artifacts: Arc::new(Archive(archive.into())),
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

fn unit(exec: &str) -> Task {
    let unit = Unit {
        name: UNIT.to_owned(),
        text: format!(
            "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=exec\nExecStart={exec}\nRestart=always\nRestartSec=100ms\n\
             [Install]\nWantedBy=multi-user.target\n"
        ),
        enabled: Switch::On.into(),
        running: Switch::On.into(),
        restart_on_change: true,
        ..Unit::default()
    };
    task("unit", Kind::Unit(unit))
}

/// What applying this one task would change.
async fn observe(
    cx: &Context,
    task: &Task,
) -> Result<foundry_proto::agent::v1::TaskDiff, TaskError> {
    let mut diffs = tasks::observe(cx, std::slice::from_ref(task)).await?;
    Ok(diffs.remove(0))
}

async fn action(cx: &Context, task: &Task) -> Action {
    let diff = observe(cx, task).await.unwrap();
    println!("{}: {:?} {}", diff.task, diff.action(), diff.diff);
    diff.action()
}

async fn timed<T>(what: &str, work: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let done = work.await;
    println!("{what}: {:?}", start.elapsed());
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn units_are_made_watched_and_removed() {
    if !may_run() {
        return;
    }
    let cx = context();
    let systemd = Arc::clone(&cx.host.systemd);
    assert!(systemd.version().await.unwrap() > 200);
    remove(&cx, &unit(""), false).await.unwrap();

    let good = unit("/bin/sleep 1000");
    assert_eq!(action(&cx, &good).await, Action::Create);
    let applied = timed("start and settle", apply(&cx, &good, None, &[]))
        .await
        .unwrap();
    assert!(applied.changed);
    let again = timed("nothing to do", apply(&cx, &good, None, &[]))
        .await
        .unwrap();
    assert!(!again.changed);
    let state = systemd.state(UNIT).await.unwrap();
    assert!(
        state.is_active() && state.is_enabled() && state.restarts == 0,
        "{state:?}"
    );

    let (out, mut reports) = mpsc::channel(16);
    let stop = CancellationToken::new();
    let watching = health::watch(
        cx.clone(),
        "a".to_owned(),
        1,
        vec![good.clone()],
        out,
        stop.clone(),
    );
    let watching = tokio::spawn(watching);
    let mut next = async |healthy: bool| -> HealthReport {
        loop {
            let report = reports.recv().await.unwrap();
            println!("health: {report:?}");
            if report
                .health
                .as_ref()
                .is_some_and(|health| health.healthy == healthy)
            {
                return report;
            }
        }
    };
    next(true).await;
    timed("a kill is noticed", async {
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(state.main_pid.try_into().unwrap()).unwrap(),
            rustix::process::Signal::KILL,
        )
        .unwrap();
        next(false).await
    })
    .await;
    systemd
        .run(UnitVerb::Restart, UNIT, Duration::from_secs(10))
        .await
        .unwrap();
    // It has been started by hand: there is nothing to wait for.
    next(true).await;
    stop.cancel();
    watching.await.unwrap();

    let missing = unit("/no/such/program");
    let error = apply(&cx, &missing, Some(&good), &[]).await.unwrap_err();
    println!("{error}");
    assert!(error.to_string().contains("203") || error.to_string().contains("job failed"));
    let crashing = unit("/bin/sh -c 'echo last words; exit 7'");
    let error = timed("a crash", apply(&cx, &crashing, Some(&good), &[]))
        .await
        .unwrap_err();
    println!("{error}");
    let TaskError::Unit { state, lines, .. } = error else {
        panic!("{error}")
    };
    assert!(
        state.contains('7') || state.contains("restarted"),
        "{state}"
    );
    assert!(lines.iter().any(|line| line == "last words"), "{lines:?}");

    remove(&cx, &crashing, false).await.unwrap();
    let state = systemd.state(UNIT).await.unwrap();
    assert_eq!((state.active, state.main_pid), (ActiveState::Inactive, 0));
    remove(&cx, &crashing, false).await.unwrap();
}

fn image() -> Task {
    let image = Image {
        reference: IMAGE.to_owned(),
        source: Some(image::Source::Archive(ArtifactRef::default())),
        identities: Vec::new(),
    };
    task("image", Kind::Image(image))
}

fn service(change: impl FnOnce(&mut ContainerService)) -> Task {
    let probe = health_check::Probe::Http("http://127.0.0.1:18080/health".to_owned());
    let mut service = ContainerService {
        name: "realtest".to_owned(),
        image: IMAGE.to_owned(),
        ports: vec![PortMapping {
            host_port: 18080,
            container_port: 80,
            ..PortMapping::default()
        }],
        env: vec![EnvVar {
            name: "GREETING".to_owned(),
            value: " a 'b' \"c\" $d %n #e".to_owned(),
        }],
        volumes: vec![Volume {
            source: "/srv/realtest".to_owned(),
            target: "/data".to_owned(),
            ..Volume::default()
        }],
        command: vec!["--name".to_owned(), "100% $HOME \"q\" ;".to_owned()],
        limits: Some(Limits {
            memory: 64 << 20,
            cpu_millis: 500,
        }),
        health: Some(HealthCheck {
            probe: Some(probe),
            ..HealthCheck::default()
        }),
        stop_timeout_s: 5,
        ..ContainerService::default()
    };
    change(&mut service);
    task("service", Kind::ContainerService(service))
}

async fn get(path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect("127.0.0.1:18080")
        .await
        .unwrap();
    let request = format!("GET {path} HTTP/1.0\r\nHost: a\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn services_run_are_changed_and_removed() {
    if !may_run() || std::env::var("FOUNDRY_TEST_IMAGE").is_err() {
        return;
    }
    let cx = context();
    println!("{:?}", cx.host.runtimes.installed().await);
    let plain = service(|_| {});
    remove(&cx, &plain, true).await.unwrap();
    remove(&cx, &image(), true).await.unwrap();

    assert_eq!(action(&cx, &image()).await, Action::Create);
    timed("load", apply(&cx, &image(), None, &[]))
        .await
        .unwrap();
    assert_eq!(action(&cx, &image()).await, Action::Unchanged);
    assert_eq!(action(&cx, &plain).await, Action::Create);
    timed("first start", apply(&cx, &plain, None, &[]))
        .await
        .unwrap();
    assert_eq!(
        timed("observe", action(&cx, &plain)).await,
        Action::Unchanged
    );
    let again = timed("nothing to do", apply(&cx, &plain, None, &[]))
        .await
        .unwrap();
    assert!(!again.changed);
    if std::env::var("FOUNDRY_TEST_LEAVE").is_ok() {
        return;
    }
    let answer = get("/").await;
    assert!(answer.contains("100% $HOME \"q\" ;"), "{answer}");
    let answer = get("/env/GREETING").await;
    assert!(answer.contains("a 'b' \"c\" $d %n #e"), "{answer}");

    let changed = service(|service| service.command[1] = "changed".to_owned());
    assert_eq!(action(&cx, &changed).await, Action::Update);
    timed("changed", apply(&cx, &changed, Some(&plain), &[]))
        .await
        .unwrap();
    assert!(get("/").await.contains("changed"));

    let other = service(|service| service.name = "realtest2".to_owned());
    let diff = observe(&cx, &other).await.unwrap();
    assert_eq!(
        diff.diff,
        "port 18080/tcp is taken by container foundry-realtest"
    );
    let listener = std::net::TcpListener::bind("0.0.0.0:18081").unwrap();
    let taken = service(|service| {
        service.name = "realtest2".to_owned();
        service.ports[0].host_port = 18081;
    });
    let diff = observe(&cx, &taken).await.unwrap();
    println!("{}", diff.diff);
    assert!(
        diff.diff.contains(&format!("(pid {})", std::process::id())),
        "{}",
        diff.diff
    );
    drop(listener);

    // The container dies behind systemd's back: it comes again.
    let runtime = cx.host.runtimes.chosen().await.unwrap();
    let containers = runtime.containers().await.unwrap();
    let ours = containers
        .iter()
        .find(|one| one.name == "foundry-realtest")
        .unwrap();
    println!("{ours:?}");
    assert_eq!(ours.labels["foundry.fleet"], "real-123456");
    runtime.remove(&ours.id).await.unwrap();
    timed("back again", async {
        loop {
            let containers = runtime.containers().await.unwrap();
            let new = containers.iter().find(|one| one.name == "foundry-realtest");
            if new.is_some_and(|new| new.id != ours.id && new.running) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;

    let bad = service(|service| {
        service.command = vec!["--exit-after".to_owned(), "0".to_owned()];
        service.health = None;
    });
    let error = timed("a bad one", apply(&cx, &bad, Some(&changed), &[]))
        .await
        .unwrap_err();
    println!("{error}");
    assert!(error.to_string().contains("told to end at once"), "{error}");

    let kept = tasks::remove(&cx, &bad, false).await.unwrap().kept;
    assert_eq!(kept, ["/srv/realtest"]);
    let containers = runtime.containers().await.unwrap();
    assert!(
        containers
            .iter()
            .all(|container| container.name != "foundry-realtest")
    );
    assert!(
        tasks::remove(&cx, &image(), false)
            .await
            .unwrap()
            .kept
            .is_empty()
    );
    assert!(runtime.image(IMAGE).await.unwrap().is_none());
    assert!(
        tasks::remove(&cx, &bad, true)
            .await
            .unwrap()
            .kept
            .is_empty()
    );
    assert!(
        cx.host
            .files
            .stat(Utf8Path::new("/srv/realtest"))
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_container_of_the_name_is_left_alone() {
    if !may_run() || std::env::var("FOUNDRY_TEST_IMAGE").is_err() {
        return;
    }
    let cx = context();
    let foreign = service(|service| service.name = "realforeign".to_owned());
    let runtime = cx.host.runtimes.prepare().await.unwrap();
    apply(&cx, &image(), None, &[]).await.unwrap();
    let cli = runtime.info().cli.clone().unwrap();
    let run = ["run", "-d", "--name", "foundry-realforeign", IMAGE];
    let run = foundry_host::exec::Command::new(&cli, &run);
    cx.host
        .exec
        .run(run)
        .await
        .unwrap()
        .or_failed("run")
        .unwrap();

    let diff = observe(&cx, &foreign).await.unwrap();
    println!("{}", diff.diff);
    assert_eq!(diff.action(), Action::Blocked);
    let error = apply(&cx, &foreign, None, &[]).await.unwrap_err();
    assert!(matches!(error, TaskError::Blocked(_)), "{error}");
    remove(&cx, &foreign, true).await.unwrap();
    let containers = runtime.containers().await.unwrap();
    let it = containers
        .iter()
        .find(|one| one.name == "foundry-realforeign")
        .unwrap();
    assert!(it.running);
    runtime.remove(&it.id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_is_installed_once() {
    let Ok(name) = std::env::var("FOUNDRY_TEST_PACKAGE") else {
        return;
    };
    if !may_run() {
        return;
    }
    let cx = context();
    let package = |absent| {
        let names = vec!["no-such-package".to_owned(), name.clone()];
        task("package", Kind::Package(Package { names, absent }))
    };
    println!(
        "{:?} {:?}",
        cx.host.packages.manager().await,
        cx.host.runtimes.installed().await
    );
    apply(&cx, &package(true), None, &[]).await.unwrap();
    assert_eq!(
        timed("observe", action(&cx, &package(false))).await,
        Action::Create
    );
    timed("install", apply(&cx, &package(false), None, &[]))
        .await
        .unwrap();
    assert_eq!(
        timed("observe", action(&cx, &package(false))).await,
        Action::Unchanged
    );
    let kept = remove(&cx, &package(false), true).await.unwrap().kept;
    assert_eq!(kept, [format!("package {name}")]);
    println!("{:?}", cx.host.runtimes.installed().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_pulled_and_one_that_cannot_be_is_named() {
    if !may_run() {
        return;
    }
    let (out, mut progress) = mpsc::channel(64);
    let cx = Context {
        progress: ProgressSink::new(out),
        ..context()
    };
    let pulled = |reference: &str| {
        let source = Some(image::Source::Pull(Pull::default()));
        let reference = reference.to_owned();
        task(
            "image",
            Kind::Image(Image {
                reference,
                source,
                identities: Vec::new(),
            }),
        )
    };
    let missing = pulled("127.0.0.1:9/no/such:image");
    let error = timed("a pull in vain", apply(&cx, &missing, None, &[]))
        .await
        .unwrap_err();
    println!("{error}");
    assert!(error.to_string().contains("refused"), "{error}");
    let Ok(reference) = std::env::var("FOUNDRY_TEST_PULL") else {
        return;
    };
    let runtime = cx.host.runtimes.prepare().await.unwrap();
    runtime.remove_image(&reference).await.unwrap();
    timed("a pull", apply(&cx, &pulled(&reference), None, &[]))
        .await
        .unwrap();
    println!("{:?}", runtime.image(&reference).await.unwrap());
    let mut lines = 0;
    while let Ok(line) = progress.try_recv() {
        println!("{line:?}");
        lines += 1;
    }
    assert!(lines > 0);
}
