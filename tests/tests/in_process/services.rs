//! A service from the plan to its health.

use anyhow::{Result, ensure};
use foundry_host::fakes::Behaviour;
use foundry_proto::operator::v1::{RunOutcome, StepOutcome};

use crate::stage::{Stage, healthy};

#[tokio::test(flavor = "multi_thread")]
async fn a_service_comes_up_everywhere_and_then_nothing_changes() -> Result<()> {
    let stage = Stage::new(3).await?;
    let stack = stage.stack("1")?;
    let plan = stage.fleet.plan(&stack).await?;
    ensure!(plan.steps.len() == 3, "a step for each host: {plan:?}");
    stage.install_well(&stack).await?;
    for host in ["node1", "node2", "node3"] {
        let status = stage.until(host, healthy).await?;
        ensure!(status.assignments.len() == 1, "{status:?}");
    }
    for host in &stage.hosts {
        let containers = host.runtimes.containers().list();
        ensure!(
            containers.len() == 1 && containers[0].name == "foundry-whoami",
            "{containers:?}"
        );
    }
    let calls: Vec<_> = stage
        .hosts
        .iter()
        .map(|host| host.systemd.calls())
        .collect();
    stage.nothing_to_do(&stack).await?;
    ensure!(
        calls
            == stage
                .hosts
                .iter()
                .map(|host| host.systemd.calls())
                .collect::<Vec<_>>(),
        "a plan only looks"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_host_that_fails_stops_no_other_and_says_why() -> Result<()> {
    let stage = Stage::new(3).await?;
    stage.hosts[1]
        .systemd
        .behave("foundry-whoami.service", Behaviour::Crashes { code: 3 });
    stage.hosts[1]
        .systemd
        .write_journal("foundry-whoami.service", "cannot open its heart");
    let ended = stage.install(&stage.stack("1")?).await?;
    ensure!(ended.outcome == RunOutcome::Partial, "{ended:?}");
    for step in &ended.steps {
        let failed = step.outcome() == StepOutcome::Failed;
        ensure!(failed == (step.host == "node2"), "{ended:?}");
        ensure!(
            !failed || step.cause.contains("cannot open its heart"),
            "{}",
            step.cause
        );
    }
    stage.until("node1", healthy).await?;
    stage.until("node3", healthy).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_the_only_change() -> Result<()> {
    let stage = Stage::new(1).await?;
    stage.install_well(&stage.stack("1")?).await?;
    let other = "  - name: other\n    image: localhost/whoami:1\n    health: { tcp: \"";
    let stack = stage.stack("1")?;
    let health = stack
        .rsplit("tcp: \"")
        .next()
        .unwrap_or_default()
        .to_owned();
    let two = format!("{stack}{other}{health}");
    stage.install_well(&two).await?;
    let edited = two.replacen("whoami:1\n    health", "whoami:2\n    health", 1);
    let plan = stage.fleet.plan(&edited).await?;
    ensure!(
        plan.changes
            .iter()
            .all(|change| change.assignment == "service/whoami"),
        "{plan:?}"
    );
    ensure!(plan.steps.len() == 1, "{plan:?}");
    stage.fleet.carry_out(&plan).await?;
    stage.nothing_to_do(&edited).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_without_the_image_is_named() -> Result<()> {
    let stage = Stage::new(1).await?;
    let stack = stage.stack("nosuch")?;
    let ended = stage.install(&stack).await?;
    ensure!(ended.outcome == RunOutcome::Failed, "{ended:?}");
    ensure!(
        ended.steps[0].cause.contains("localhost/whoami:nosuch"),
        "{ended:?}"
    );
    Ok(())
}
