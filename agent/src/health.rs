//! Whether what was achieved is healthy now.
//!
//! One watcher per achieved assignment that has units or services ([`watch`]). It listens for the units' changes on the
//! bus, asks the probes at their interval, and reports the assignment's latest health each time that it has looked. It
//! holds nothing but its connections, and ends with its token.

mod follow;
mod probe;
mod targets;

use std::time::Duration;

use foundry_proto::agent::v1::{Health, HealthReport, Task};
use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::tasks::Context;
use follow::follow;

pub(crate) use probe::Check;

/// Whether one unit is healthy; Err says why it is not.
type Verdict = Result<(), String>;

/// Watches the units and services among the tasks until `stop`. An assignment that has none is healthy once, and done.
pub async fn watch(
    cx: Context,
    assignment: String,
    revision: u64,
    tasks: Vec<Task>,
    out: mpsc::Sender<HealthReport>,
    stop: CancellationToken,
) {
    let targets = targets::of(&tasks);
    let mut summary = Summary::new(targets.len());
    let report = |health| HealthReport {
        assignment: assignment.clone(),
        revision,
        health: Some(health),
    };
    let now = || cx.host.clock.monotonic();
    if targets.is_empty() {
        // Nobody listens any more: so be it.
        let _ = out.send(report(summary.health(now()))).await;
        return;
    }
    let (verdicts, mut given) = mpsc::channel(targets.len());
    let following = join_all(targets.iter().enumerate().map(|(index, target)| {
        let verdicts = verdicts.clone();
        follow(&cx, target, move |verdict| {
            let verdicts = verdicts.clone();
            async move { verdicts.send((index, verdict)).await.is_ok() }
        })
    }));
    let reporting = async {
        while let Some((index, verdict)) = given.recv().await {
            let Some(slot) = summary.verdicts.get_mut(index) else {
                continue;
            };
            let unit = targets.get(index).map_or("", |target| target.unit.as_str());
            *slot = Some(verdict.map_err(|cause| format!("{unit} {cause}")));
            if summary.is_complete() && out.send(report(summary.health(now()))).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = following => {}
        () = reporting => {}
        () = stop.cancelled() => {}
    }
}

/// The latest of all units, as one.
struct Summary {
    verdicts: Vec<Option<Verdict>>,
    /// What was said last, and since when.
    said: Option<(bool, Duration)>,
}

// === impl Summary ===

impl Summary {
    fn new(units: usize) -> Self {
        Self {
            verdicts: vec![None; units],
            said: None,
        }
    }

    fn is_complete(&self) -> bool {
        self.verdicts.iter().all(Option::is_some)
    }

    /// The health of the whole; `now` on CLOCK_MONOTONIC.
    fn health(&mut self, now: Duration) -> Health {
        let causes: Vec<&str> = self
            .verdicts
            .iter()
            .filter_map(|verdict| verdict.as_ref()?.as_ref().err().map(String::as_str))
            .collect();
        let healthy = causes.is_empty();
        let since = match self.said {
            Some((said, since)) if said == healthy => since,
            _ => now,
        };
        self.said = Some((healthy, since));
        let age = now.saturating_sub(since).as_millis();
        Health {
            healthy,
            message: causes.join("; "),
            age_ms: u64::try_from(age).unwrap_or(u64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use async_trait::async_trait;
    use camino::Utf8PathBuf;
    use foundry_host::fakes::FakeHost;
    use foundry_host::systemd::{ActiveState, Exit, LoadState};
    use foundry_proto::agent::v1::task::Kind;
    use foundry_proto::agent::v1::{
        ArtifactRef, CommandProbe, ContainerService, Health, HealthCheck, HealthReport, Task,
        health_check,
    };
    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;

    use super::{Summary, watch};
    use crate::tasks::{ArtifactError, Artifacts, Context, ProgressSink};

    const UNIT: &str = "foundry-a.service";

    struct NoArtifacts;

    #[async_trait]
    impl Artifacts for NoArtifacts {
        async fn fetch(&self, artifact: &ArtifactRef) -> Result<Utf8PathBuf, ArtifactError> {
            Err(ArtifactError::new(artifact, "there are none"))
        }
    }

    fn watched(fake: &FakeHost) -> mpsc::Receiver<HealthReport> {
        let cx = Context {
            host: Arc::new(fake.host()),
            fleet: "test-1a2b3c".parse().unwrap(),
            artifacts: Arc::new(NoArtifacts),
            progress: ProgressSink::none(),
            cancel: CancellationToken::new(),
        };
        let argv = vec!["/usr/bin/probe".to_owned()];
        let health = HealthCheck {
            probe: Some(health_check::Probe::Command(CommandProbe { argv })),
            ..HealthCheck::default()
        };
        let service = ContainerService {
            name: "a".to_owned(),
            health: Some(health),
            ..ContainerService::default()
        };
        let task = Task {
            kind: Some(Kind::ContainerService(service)),
            ..Task::default()
        };
        let (out, reports) = mpsc::channel(1);
        let name = "service/a".to_owned();
        tokio::spawn(watch(
            cx,
            name,
            3,
            vec![task],
            out,
            CancellationToken::new(),
        ));
        reports
    }

    fn run(fake: &FakeHost) {
        fake.systemd.change(UNIT, |state| {
            state.load = LoadState::Loaded;
            state.active = ActiveState::Active;
        });
    }

    async fn next(reports: &mut mpsc::Receiver<HealthReport>) -> Health {
        reports.recv().await.unwrap().health.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_reported_at_once_with_its_last_words() {
        let fake = FakeHost::new();
        run(&fake);
        let mut reports = watched(&fake);
        assert!(next(&mut reports).await.healthy);
        fake.systemd.write_journal(UNIT, "out of cheese");
        let failed = tokio::time::Instant::now();
        fake.systemd.change(UNIT, |state| {
            state.active = ActiveState::Failed;
            state.result = "exit-code".to_owned();
            state.exit = Some(Exit::Code(1));
        });
        let health = next(&mut reports).await;
        assert_eq!(
            health.message,
            "foundry-a.service failed (exit-code 1): out of cheese"
        );
        assert!(!health.healthy && failed.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_is_asked_again_and_again() {
        let fake = FakeHost::new();
        run(&fake);
        let mut reports = watched(&fake);
        assert!(next(&mut reports).await.healthy);
        fake.exec.end("/usr/bin/probe", 1, "no leader");
        let health = next(&mut reports).await;
        assert!(
            health
                .message
                .ends_with("/usr/bin/probe exited with 1: no leader"),
            "{health:?}"
        );
        fake.exec.end("/usr/bin/probe", 0, "");
        assert!(next(&mut reports).await.healthy);
        assert_eq!(
            next(&mut reports).await.age_ms,
            10_000,
            "healthy since the report before"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_restart_loop_is_unhealthy_though_the_unit_runs_at_times() {
        let fake = FakeHost::new();
        run(&fake);
        let mut reports = watched(&fake);
        assert!(next(&mut reports).await.healthy);
        let now = foundry_host::Clock::monotonic(fake.clock.as_ref());
        fake.systemd.change(UNIT, |state| {
            state.restarts = 4;
            state.started = now;
        });
        let health = next(&mut reports).await;
        assert_eq!(
            health.message,
            "foundry-a.service restarted 4 times, last 0 s ago"
        );
        while !next(&mut reports).await.healthy {}
        let after = foundry_host::Clock::monotonic(fake.clock.as_ref()) - now;
        assert!(
            after >= Duration::from_secs(30) && after <= Duration::from_secs(50),
            "{after:?}"
        );
    }

    #[test]
    fn one_bad_unit_makes_the_whole_bad_since_then() {
        let mut summary = Summary::new(2);
        summary.verdicts[0] = Some(Ok(()));
        assert!(!summary.is_complete());
        summary.verdicts[1] = Some(Err("b.service failed".to_owned()));
        assert!(summary.is_complete());
        let at = Duration::from_secs;
        assert_eq!(summary.health(at(10)).message, "b.service failed");
        assert_eq!(summary.health(at(15)).age_ms, 5000);
        summary.verdicts[1] = Some(Ok(()));
        let health = summary.health(at(20));
        assert!(health.healthy && health.message.is_empty() && health.age_ms == 0);
    }
}
