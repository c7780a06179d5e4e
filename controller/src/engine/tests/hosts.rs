//! Enrolment and removal.

use foundry_link::pki::HostKey;
use foundry_proto::agent::v1::{CertificateRequest, Enrolment};
use foundry_proto::operator::v1::{AwaitHostRequest, EventsRequest, RemoveHostRequest};
use futures_util::StreamExt as _;

use super::fleet::{Fleet, enrolment};
use crate::api::error::{ApiError, ErrorKind};
use crate::engine::EngineError;
use crate::hub::Backend as _;

#[tokio::test]
async fn a_name_keeps_its_id_and_each_enrolment_has_its_key() {
    let fleet = Fleet::start().await;
    let first = fleet.enrol("node1").await;
    let key = HostKey::generate().unwrap();
    let reply = fleet.engine.enrol(enrolment("node1", &key)).await.unwrap();
    assert_eq!(
        (reply.host_id.clone(), reply.epoch),
        (first.id.to_string(), 2)
    );
    assert_eq!(reply.addresses[0].split(':').next(), Some("198.18.0.254"));
    let second = fleet.host(&key, reply);
    let refused = first
        .try_online()
        .await
        .err()
        .expect("the old key is refused");
    let reason = refused
        .metadata()
        .get(foundry_proto::REFUSAL_KEY)
        .expect("a reason");
    assert_eq!(reason, "REFUSAL_OLD_EPOCH");
    let _online = second.online().await;
    let request = AwaitHostRequest {
        hostname: "node1".to_owned(),
        ..Default::default()
    };
    assert!(fleet.engine.await_host(request).await.unwrap().connected);
}

#[tokio::test]
async fn a_host_of_another_fleet_stays_there_unless_it_is_taken_over() {
    let fleet = Fleet::start().await;
    let key = HostKey::generate().unwrap();
    let mut request = enrolment("node1", &key);
    request.current = Some(Enrolment {
        fleet: "other-123456".to_owned(),
        since_ms: 1_700_000_000_000,
        ..Enrolment::default()
    });
    let refused = fleet.engine.enrol(request.clone()).await.unwrap_err();
    let told = ApiError::from(refused);
    assert_eq!(told.kind, ErrorKind::Refused);
    assert!(
        told.message.contains("other-123456` since 2023-11-14"),
        "{}",
        told.message
    );
    assert!(told.hints[0].contains("--take-over"));
    request.take_over = true;
    fleet.engine.enrol(request).await.unwrap();
}

#[tokio::test]
async fn who_is_enrolled_is_let_in_by_the_next_controller_too() {
    let fleet = Fleet::start().await;
    let host = fleet.enrol("node1").await;
    let fleet = fleet.restart().await;
    let _online = host.online().await;
    assert_eq!(fleet.engine.list_hosts().len(), 1);
}

#[tokio::test]
async fn a_removed_host_is_asked_to_clean_up_and_let_in_no_more() {
    let fleet = Fleet::start().await;
    let host = fleet.enrol("node1").await;
    let _online = host.online().await;
    fleet.install(&fleet.spec(&["node1"], "1")).await;
    let request = RemoveHostRequest {
        hostname: "node1".to_owned(),
        ..Default::default()
    };
    let reply = fleet.engine.remove_host(request).await.unwrap();
    assert!(reply.uninstalled, "{reply:?}");
    assert_eq!(reply.kept, ["/var/lib/web"]);
    assert!(host.has_left(), "the answer came before the host was clean");
    let refused = host.try_online().await.err().expect("it is let in no more");
    let reason = refused
        .metadata()
        .get(foundry_proto::REFUSAL_KEY)
        .expect("a reason");
    assert_eq!(reason, "REFUSAL_REMOVED");
    let store = &fleet.engine.inner.core.store;
    assert!(store.assignments.list(host.id).await.unwrap().is_empty());
    assert!(fleet.engine.list_hosts().is_empty());
    let events = fleet.engine.events(EventsRequest::default()).await.unwrap();
    let events: Vec<_> = events.map(|event| event.unwrap().kind).collect().await;
    assert!(events.contains(&"removed".to_owned()), "{events:?}");
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_removed_only_by_force() {
    let fleet = Fleet::start().await;
    fleet.enrol("node1").await;
    let mut request = RemoveHostRequest {
        hostname: "node1".to_owned(),
        ..Default::default()
    };
    let refused = fleet.engine.remove_host(request.clone()).await.unwrap_err();
    assert!(matches!(refused, EngineError::HostAway { .. }), "{refused}");
    request.force = true;
    let reply = fleet.engine.remove_host(request).await.unwrap();
    assert!(
        !reply.uninstalled && reply.message.contains("foundry-agent uninstall"),
        "{reply:?}"
    );
}

#[tokio::test]
async fn a_name_that_is_nearly_right_is_named() {
    let fleet = Fleet::start().await;
    fleet.enrol("node1").await;
    let request = RemoveHostRequest {
        hostname: "node2".to_owned(),
        ..Default::default()
    };
    let refused = ApiError::from(fleet.engine.remove_host(request).await.unwrap_err());
    assert_eq!(refused.kind, ErrorKind::NotFound);
    assert!(refused.hints[0].contains("node1"), "{refused:?}");
}

#[tokio::test]
async fn both_keys_are_good_until_the_new_one_has_connected() {
    let fleet = Fleet::start().await;
    let old = fleet.enrol("node1").await;
    let core = &fleet.engine.inner.core;
    let key = HostKey::generate().unwrap();
    let request = CertificateRequest {
        csr: key.csr_der().unwrap().to_vec().into(),
    };
    let issued = core.renew(old.id, &request.csr).await.unwrap();
    drop(old.online().await);
    let reply = foundry_proto::operator::v1::EnrolReply {
        host_id: old.id.to_string(),
        chain: issued.chain,
        trusted_cas: issued.trusted_cas,
        ..Default::default()
    };
    let new = fleet.host(&key, reply);
    let _online = new.online().await;
    assert!(old.try_online().await.is_err());
    assert_eq!(
        core.store
            .hosts
            .get(old.id)
            .await
            .unwrap()
            .unwrap()
            .0
            .keys
            .len(),
        1
    );
}
