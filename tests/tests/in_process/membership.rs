//! Who belongs to a fleet, and who does not any more.

use anyhow::{Result, ensure};
use foundry_proto::operator::v1::RemoveHostRequest;

use crate::stage::{Stage, healthy, today};

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_host_is_cut_off_and_leaves_nothing_that_runs() -> Result<()> {
    let stage = Stage::new(2).await?;
    stage.install_well(&stage.stack("1")?).await?;
    let request = RemoveHostRequest {
        hostname: "node1".into(),
        timeout_ms: 20_000,
        ..Default::default()
    };
    let removed = stage
        .fleet
        .operator()?
        .remove_host(request)
        .await?
        .into_inner();
    ensure!(removed.uninstalled, "{removed:?}");
    ensure!(
        stage.hosts[0].runtimes.containers().list().is_empty(),
        "its container is gone"
    );
    let report = stage.fleet.status().await?;
    ensure!(
        report.hosts.iter().all(|host| host.name != "node1"),
        "{report:?}"
    );
    stage.until("node2", healthy).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_enrolled_again_keeps_its_id_and_its_service() -> Result<()> {
    let mut stage = Stage::new(1).await?;
    let stack = stage.stack("1")?;
    stage.install_well(&stack).await?;
    let before = stage
        .fleet
        .operator()?
        .list_hosts(foundry_proto::operator::v1::ListHostsRequest {})
        .await?
        .into_inner();
    let mut member = stage.members.remove(0);
    member.stop().await?;
    let again = stage.fleet.enrol("node1", today(&stage.hosts[0])).await?;
    stage.members.push(again);
    let after = stage
        .fleet
        .operator()?
        .list_hosts(foundry_proto::operator::v1::ListHostsRequest {})
        .await?
        .into_inner();
    ensure!(
        after.hosts.len() == 1 && after.hosts[0].id == before.hosts[0].id,
        "{after:?}"
    );
    ensure!(
        after.hosts[0].epoch == before.hosts[0].epoch + 1,
        "{after:?}"
    );
    stage.until("node1", healthy).await?;
    stage.nothing_to_do(&stack).await
}
