//! Status, drift and events.

use std::time::Duration;

use foundry_proto::agent::v1::Action;
use foundry_proto::operator::v1::{
    EventsRequest, HostState, ObserveRequest, Overall, StatusReport, StatusRequest,
};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

use super::fleet::{Fleet, PATIENCE};
use crate::engine::view::HostView;

async fn status(fleet: &Fleet, spec: &str) -> StatusReport {
    let request = StatusRequest {
        spec: spec.to_owned().into(),
        patience_ms: 50,
        ..StatusRequest::default()
    };
    fleet
        .engine
        .status(request)
        .await
        .unwrap()
        .next()
        .await
        .unwrap()
}

async fn until<T>(stream: &mut BoxStream<'static, T>, wanted: impl Fn(&T) -> bool) -> T {
    let search = async {
        loop {
            let next = stream.next().await.expect("an endless stream");
            if wanted(&next) {
                return next;
            }
        }
    };
    tokio::time::timeout(PATIENCE, search)
        .await
        .expect("in time")
}

#[tokio::test]
async fn hosts_that_are_not_enrolled_are_named_with_what_they_should_have() {
    let fleet = Fleet::start().await;
    let report = status(&fleet, &fleet.spec(&["node1"], "1")).await;
    assert_eq!(report.overall(), Overall::Degraded);
    assert_eq!(report.hosts[0].state(), HostState::NotEnrolled);
    assert_eq!(report.hosts[0].assignments[0].state, "pending");
}

#[tokio::test]
async fn a_host_is_healthy_when_it_says_so_and_what_it_said_is_kept() {
    let fleet = Fleet::start().await;
    let host = fleet.enrol("node1").await;
    let spec = fleet.spec(&["node1"], "1");
    let online = host.online().await;
    fleet.install(&spec).await;
    let watch = StatusRequest {
        spec: spec.clone().into(),
        watch: true,
        patience_ms: 50,
        ..StatusRequest::default()
    };
    let mut reports = fleet.engine.status(watch).await.unwrap();
    let report = until(&mut reports, |report| report.overall() == Overall::Healthy).await;
    let assignment = &report.hosts[0].assignments[0];
    assert_eq!(
        (assignment.achieved, assignment.healthy),
        (Some(1), Some(true))
    );
    assert!(assignment.healthy_age_ms.is_some());

    drop(online);
    let gone = until(&mut reports, |report| report.overall() != Overall::Healthy).await;
    assert_eq!(gone.hosts[0].state(), HostState::Stale);
    let assignment = &gone.hosts[0].assignments[0];
    assert_eq!((assignment.achieved, assignment.healthy), (Some(1), None));
    assert!(assignment.healthy_age_ms.is_some());
    assert_eq!(assignment.message, "was healthy when last heard");
    drop(reports);

    // The next controller knows what the last one was told, and does not call it well.
    let fleet = fleet.restart().await;
    let report = status(&fleet, &spec).await;
    assert_eq!(report.hosts[0].state(), HostState::Stale, "{report:?}");
    assert_eq!(report.hosts[0].assignments[0].achieved, Some(1));
    assert!(report.hosts[0].age_ms.is_some());
}

#[tokio::test]
async fn the_last_sign_of_life_is_known_after_the_session() {
    let fleet = Fleet::start().await;
    let host = fleet.enrol("node1").await;
    let online = host.online().await;
    let view = &fleet.engine.inner.core.view;
    let times = || {
        let look = |host: &HostView| (host.connected_ms, host.seen_ms, host.gone_ms);
        view.read(host.id, look).unwrap()
    };
    // A heartbeat later than the hello is taken in.
    let begin = times().1;
    let beat = async {
        while times().1 < begin + 1000 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, beat).await.expect("in time");
    let mut news = view.watch(host.id).unwrap();
    drop(online);
    let gone = news.wait_for(|_| times().2.is_some());
    let gone = tokio::time::timeout(PATIENCE, gone).await;
    drop(gone.expect("in time").unwrap());
    let (connected_ms, seen_ms, gone_ms) = times();
    assert_eq!(connected_ms, None);
    assert!(seen_ms >= begin + 1000 && Some(seen_ms) <= gone_ms);
}

#[tokio::test]
async fn what_differs_is_told_and_nothing_is_changed() {
    let fleet = Fleet::start().await;
    let host = fleet.enrol("node1").await;
    let _online = host.online().await;
    fleet.install(&fleet.spec(&["node1"], "1")).await;
    let observed = fleet
        .engine
        .observe(ObserveRequest::default())
        .await
        .unwrap();
    assert!(observed.changes.is_empty(), "{observed:?}");
    host.has("service", Action::Update, "it was stopped");
    let observed = fleet
        .engine
        .observe(ObserveRequest::default())
        .await
        .unwrap();
    assert_eq!(observed.changes[0].diff, "it was stopped");
    assert_eq!(host.assigned().len(), 1);
}

#[tokio::test]
async fn events_are_followed_as_they_come() {
    let fleet = Fleet::start().await;
    let follow = EventsRequest {
        follow: true,
        ..EventsRequest::default()
    };
    let mut events = fleet.engine.events(follow).await.unwrap();
    let host = fleet.enrol("node1").await;
    until(&mut events, |event| {
        event.as_ref().unwrap().kind == "enrolled"
    })
    .await
    .unwrap();
    let _online = host.online().await;
    until(&mut events, |event| {
        event.as_ref().unwrap().kind == "connected"
    })
    .await
    .unwrap();
    fleet.install(&fleet.spec(&["node1"], "1")).await;
    let outcome = until(&mut events, |event| {
        event.as_ref().unwrap().kind == "outcome"
    })
    .await;
    let outcome = outcome.unwrap();
    assert_eq!(
        (outcome.host.as_str(), outcome.text.as_str()),
        ("node1", "achieved")
    );
    assert_eq!(
        (outcome.assignment.as_str(), outcome.revision),
        ("service/web", 1)
    );
}
