//! Who is let in past a good handshake, and how a session ends that no longer is.

use std::time::Duration;

use foundry_link::pki::HostKey;
use foundry_proto::agent::v1::agent_message::Body;
use foundry_proto::agent::v1::{FetchArtifactRequest, Heartbeat, Refusal};
use foundry_proto::{Digest, REFUSAL_KEY};
use tonic::{Code, Status};

use super::fleet::{Fleet, PATIENCE, hello};
use crate::hub::{Admitted, Disconnect, HubEvent};

/// The reason that a refusal gives.
pub(super) fn reason(status: &Status) -> Refusal {
    let name = status
        .metadata()
        .get(REFUSAL_KEY)
        .expect("a reason")
        .to_str()
        .unwrap();
    Refusal::from_str_name(name).expect("a known reason")
}

#[tokio::test]
async fn a_host_that_is_not_on_the_list_is_refused_at_every_call() {
    let fleet = Fleet::start().await;
    let stranger = fleet.stranger();
    let Err(status) = stranger.dial(hello("boot", 1)).await else {
        panic!("let in")
    };
    assert_eq!(reason(&status), Refusal::Removed);
    let request = FetchArtifactRequest {
        digest: Digest::of(b"").to_bytes(),
        offset: 0,
    };
    let status = stranger
        .client()
        .await
        .fetch_artifact(request)
        .await
        .unwrap_err();
    assert_eq!(reason(&status), Refusal::Removed);
    let forward = tokio_stream::empty();
    let status = stranger.client().await.forward(forward).await.unwrap_err();
    assert_eq!(reason(&status), Refusal::Removed);
}

#[tokio::test]
async fn another_hosts_name_with_an_own_key_is_refused() {
    let fleet = Fleet::start().await;
    let victim = fleet.host();
    let thief = fleet.certified(victim.id, &HostKey::generate().unwrap());
    let Err(status) = thief.dial(hello("boot", 1)).await else {
        panic!("let in")
    };
    assert_eq!(reason(&status), Refusal::UnknownKey);
}

#[tokio::test]
async fn an_earlier_enrolment_is_told_so() {
    let fleet = Fleet::start().await;
    let old = fleet.host();
    let new = fleet.certified(old.id, &HostKey::generate().unwrap());
    let keys = |host: &super::fleet::Host| vec![host.credentials.peer().key];
    let admitted = Admitted {
        epoch: 2,
        keys: keys(&new),
        old_keys: keys(&old),
    };
    fleet.admission.insert(old.id, admitted);
    let Err(status) = old.dial(hello("boot", 1)).await else {
        panic!("let in")
    };
    assert_eq!(reason(&status), Refusal::OldEpoch);
    new.open(hello("boot", 1)).await;
}

#[tokio::test]
async fn while_a_key_is_renewed_both_are_good() {
    let fleet = Fleet::start().await;
    let old = fleet.host();
    let new = fleet.certified(old.id, &HostKey::generate().unwrap());
    let keys = vec![old.credentials.peer().key, new.credentials.peer().key];
    fleet.admission.insert(
        old.id,
        Admitted {
            epoch: 1,
            keys,
            old_keys: Vec::new(),
        },
    );
    let (mut line, _) = old.open(hello("boot", 1)).await;
    let (_next, _) = new.open(hello("boot", 1)).await;
    let status = line.end().await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted, "replaced, not refused");
    assert_eq!(
        fleet.session(&old).await.info().key,
        new.credentials.peer().key
    );
}

#[tokio::test]
async fn removal_cuts_a_live_session_at_once() {
    let fleet = Fleet::start().await;
    let host = fleet.host();
    let (mut line, _) = host.open(hello("boot", 1)).await;
    let mut events = fleet.hub.subscribe();
    fleet.admission.remove(host.id);
    fleet.hub.cut(host.id, Refusal::Removed);
    let status = line.end().await.unwrap_err();
    assert_eq!(reason(&status), Refusal::Removed);
    let event = tokio::time::timeout(PATIENCE, events.recv())
        .await
        .unwrap()
        .unwrap();
    assert!(
        matches!(&event, HubEvent::Disconnected { host: who, reason: Disconnect::Cut(Refusal::Removed) }
            if *who == host.id),
        "{event:?}"
    );
    assert!(fleet.hub.session(host.id).is_none());
    assert!(host.dial(hello("boot", 2)).await.is_err());
}

#[tokio::test]
async fn a_heartbeat_is_checked_too() {
    let fleet = Fleet::start().await;
    let host = fleet.host();
    let (mut line, _) = host.open(hello("boot", 1)).await;
    fleet.admission.remove(host.id);
    line.send(Body::Heartbeat(Heartbeat::default())).await;
    assert_eq!(reason(&line.end().await.unwrap_err()), Refusal::Removed);
}

#[tokio::test]
async fn forwarding_is_said_to_be_missing() {
    let fleet = Fleet::start().await;
    let status = fleet
        .host()
        .client()
        .await
        .forward(tokio_stream::empty())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    assert!(status.message().contains("forward"), "{status}");
}

#[tokio::test]
async fn an_oversized_message_ends_the_session_alone() {
    let fleet = Fleet::start().await;
    let (other, _other_line) = {
        let host = fleet.host();
        let (line, _) = host.open(hello("boot", 1)).await;
        (host, line)
    };
    let host = fleet.host();
    let (mut line, _) = host.open(hello("boot", 1)).await;
    let mut events = fleet.hub.subscribe();
    let huge = foundry_proto::agent::v1::JobOutput {
        data: vec![0; 2 * 1024 * 1024].into(),
        ..Default::default()
    };
    line.send(Body::JobOutput(huge)).await;
    // The agent may still be writing when the stream ends; that it ends is what counts.
    let _ = line.end().await;
    let event = tokio::time::timeout(PATIENCE, events.recv())
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(event, HubEvent::Disconnected { host: who, .. } if who == host.id));
    assert!(fleet.hub.session(other.id).is_some());
}

#[tokio::test]
async fn a_host_has_a_bounded_number_of_connections() {
    let fleet = Fleet::start().await;
    let host = fleet.host();
    let mut open = Vec::new();
    let full = async {
        while fleet.hub.refused_connections() == 0 {
            open.push(host.tls().await.unwrap());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, full).await.expect("a bound");
    fleet.host().open(hello("boot", 1)).await;
}
