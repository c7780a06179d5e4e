//! What is taken out of the file while its host is away.

use foundry_proto::operator::v1::{PlanRequest, StepOutcome};

use super::fleet::{Fleet, outcomes};

#[tokio::test]
async fn what_was_pruned_before_a_dead_host_returns_is_never_started_there() {
    let fleet = Fleet::start().await;
    let (living, dead) = (fleet.enrol("node1").await, fleet.enrol("node2").await);
    let _online = living.online().await;
    fleet
        .run(&fleet.plan(&fleet.spec(&["node1", "node2"], "1")).await)
        .await;

    let without = fleet
        .spec(&["node1", "node2"], "1")
        .replace("hosts: [node1, node2]", "hosts: [node1]");
    let request = PlanRequest {
        spec: without.clone().into(),
        prune: true,
        patience_ms: 50,
        ..PlanRequest::default()
    };
    let plan = fleet.engine.plan(request).await.unwrap();
    assert_eq!(plan.summary.unwrap().orphaned, 1, "{plan:?}");
    let run = fleet.run(&plan).await;
    assert_eq!(
        outcomes(&run),
        [("node2/service/web", StepOutcome::Pending)]
    );

    // Orders that are read from the store are known as well.
    let fleet = fleet.restart().await;
    let again = fleet.plan(&without).await;
    assert_eq!(again.summary.unwrap().orphaned, 1, "{again:?}");
    let _back = dead.online().await;
    let mut news = fleet.engine.inner.core.view.watch_all();
    loop {
        let forgotten = |host: &crate::engine::view::HostView| host.orders.is_empty();
        if fleet.engine.inner.core.view.read(dead.id, forgotten) == Some(true) {
            break;
        }
        news.changed().await.unwrap();
    }
    assert_eq!(dead.assigned(), [("service/web".to_owned(), 2)]);
    let _online = living.online().await;
    let settled = fleet.plan(&without).await;
    assert_eq!(settled.summary.unwrap().orphaned, 0, "{settled:?}");
    assert!(settled.steps.is_empty(), "{settled:?}");
}

#[tokio::test]
async fn a_change_that_is_taken_back_before_a_dead_host_returns_is_never_made_there() {
    let fleet = Fleet::start().await;
    let host = fleet.enrol("node1").await;
    let first = fleet.spec(&["node1"], "1");
    let online = host.online().await;
    fleet.run(&fleet.plan(&first).await).await;
    drop(online);
    let second = fleet.plan(&fleet.spec(&["node1"], "2")).await;
    let run = fleet.run(&second).await;
    assert_eq!(
        outcomes(&run),
        [("node1/service/web", StepOutcome::Pending)]
    );

    let back = fleet.plan(&first).await;
    assert_eq!(back.summary.unwrap().update, 1, "{back:?}");
    fleet.run(&back).await;
    let _online = host.online().await;
    let settled = fleet.plan(&first).await;
    assert!(settled.steps.is_empty(), "{settled:?}");
    assert_eq!(
        host.assigned(),
        [("service/web".to_owned(), 1), ("service/web".to_owned(), 3)]
    );
}
