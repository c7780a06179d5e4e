//! What must survive in a fleet: a controller that ends, an agent that was away, a reboot.

use anyhow::{Result, ensure};
use foundry_proto::operator::v1::{HostState, RunOutcome, StepOutcome};

use crate::stage::{Stage, healthy};

#[tokio::test(flavor = "multi_thread")]
async fn agents_come_back_to_a_controller_that_was_away() -> Result<()> {
    let mut stage = Stage::new(2).await?;
    let stack = stage.stack("1")?;
    stage.install_well(&stack).await?;
    stage.fleet.stop_controller().await?;
    stage.fleet.start_controller().await?;
    for host in ["node1", "node2"] {
        stage.until(host, healthy).await?;
    }
    stage.nothing_to_do(&stack).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_was_away_gets_what_it_missed() -> Result<()> {
    let mut stage = Stage::new(2).await?;
    stage.install_well(&stage.stack("1")?).await?;
    stage.members[1].stop().await?;
    stage
        .until("node2", |status| status.state() == HostState::Unreachable)
        .await?;

    let ended = stage.install(&stage.stack("2")?).await?;
    ensure!(ended.outcome == RunOutcome::Partial, "{ended:?}");
    let away = ended.steps.iter().find(|step| step.host == "node2");
    ensure!(
        away.is_some_and(|step| step.outcome() == StepOutcome::Pending),
        "{ended:?}"
    );

    stage.members[1].start().await?;
    let status = stage
        .until("node2", |status| {
            healthy(status)
                && status
                    .assignments
                    .iter()
                    .all(|one| one.achieved == Some(one.revision))
        })
        .await?;
    ensure!(status.assignments.len() == 1, "{status:?}");
    stage.nothing_to_do(&stage.stack("2")?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebooted_host_is_taken_up_where_it_was() -> Result<()> {
    let mut stage = Stage::new(1).await?;
    let stack = stage.stack("1")?;
    stage.install_well(&stack).await?;
    let member = &mut stage.members[0];
    member.stop().await?;
    member.rebooted("boot-node1-2");
    member.start().await?;
    stage.until("node1", healthy).await?;
    stage.nothing_to_do(&stack).await
}
