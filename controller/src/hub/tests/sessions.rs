//! What a session does once it is open.

use std::time::Duration;

use foundry_proto::agent::v1::agent_message::Body;
use foundry_proto::agent::v1::controller_message::Body as Order;
use foundry_proto::agent::v1::{
    CertificateRequest, Event, Health, HealthReport, Heartbeat, Hello, Holding, ObserveItem,
    ObserveReply, ObservedAssignment, Pong, Refusal, Subsystem,
};
use tonic::Code;

use super::admission::reason;
use super::fleet::{Fleet, Host, Line, PATIENCE, assign, dial_over, hello, outcome};
use crate::hub::{HubEvent, SessionError};

/// A Hello that reports these assignments.
fn holding(held: &[(&str, u64)]) -> Hello {
    let holdings = held.iter().map(|(name, revision)| Holding {
        assignment: (*name).to_owned(),
        revision: *revision,
        digest: assign(name, *revision).digest,
        ..Default::default()
    });
    Hello {
        holdings: holdings.collect(),
        ..hello("boot", 1)
    }
}

/// That nothing waits on the line: a heartbeat's answer is the next message.
async fn nothing_more(line: &mut Line) {
    line.send(Body::Heartbeat(Heartbeat::default())).await;
    let next = line.next().await;
    assert!(matches!(next, Order::Ack(_)), "{next:?}");
}

async fn event(events: &mut tokio::sync::broadcast::Receiver<HubEvent>) -> HubEvent {
    tokio::time::timeout(PATIENCE, events.recv())
        .await
        .expect("in time")
        .expect("an event")
}

#[tokio::test]
async fn only_the_difference_is_sent() {
    let fleet = Fleet::start().await;
    let host = fleet.host();
    for (name, revision) in [("held", 1), ("older", 2), ("missing", 1)] {
        fleet.wants(&host, assign(name, revision));
    }
    let (mut line, _) = host.open(holding(&[("held", 1), ("older", 1)])).await;
    for (name, revision) in [("older", 2), ("missing", 1)] {
        let Order::Assign(got) = line.next().await else {
            panic!("no assignment")
        };
        assert_eq!(got, assign(name, revision));
    }
    nothing_more(&mut line).await;
}

#[tokio::test]
async fn a_reconnect_with_nothing_changed_is_one_exchange() {
    let fleet = Fleet::start().await;
    let host = fleet.host();
    fleet.wants(&host, assign("held", 1));
    let (mut line, _) = host.open(holding(&[("held", 1)])).await;
    line.send(Body::Event(outcome(1))).await;
    let Order::Ack(ack) = line.next().await else {
        panic!("no ack")
    };
    assert_eq!(ack.through, 1);
    drop(line);
    let (mut line, welcome) = host.open(holding(&[("held", 1)])).await;
    assert_eq!(welcome.recorded_through, 1);
    nothing_more(&mut line).await;
}

#[tokio::test]
async fn an_older_store_never_sends_an_older_revision() {
    let fleet = Fleet::start().await;
    let host = fleet.host();
    fleet.wants(&host, assign("restored", 3));
    let (mut line, _) = host.open(holding(&[("restored", 5)])).await;
    nothing_more(&mut line).await;
    let session = fleet.session(&host).await;
    let error = session.assign(assign("restored", 4)).await.unwrap_err();
    assert!(
        matches!(error, SessionError::Refused { held: 5, .. }),
        "{error:?}"
    );
    session.assign(assign("restored", 6)).await.unwrap();
    assert!(matches!(line.next().await, Order::Assign(assign) if assign.revision == 6));
}

#[tokio::test]
async fn an_event_is_stored_then_acknowledged_then_published_once() {
    let fleet = Fleet::start().await;
    let host = fleet.host();
    let mut events = fleet.hub.subscribe();
    let (mut line, _) = host.open(hello("boot", 1)).await;
    for number in [1, 2, 2, 1, 3] {
        line.send(Body::Event(outcome(number))).await;
    }
    loop {
        let Order::Ack(ack) = line.next().await else {
            panic!("no ack")
        };
        let stored = fleet.backend.events.lock().unwrap().len() as u64;
        assert!(ack.through <= stored, "acknowledged before it was stored");
        if ack.through == 3 {
            break;
        }
    }
    let numbers: Vec<u64> = fleet
        .backend
        .events
        .lock()
        .unwrap()
        .iter()
        .map(|event| event.event.number)
        .collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert!(matches!(
        event(&mut events).await,
        HubEvent::Connected { .. }
    ));
    for number in 1..=3 {
        let HubEvent::Event { event, .. } = event(&mut events).await else {
            panic!("no event")
        };
        assert_eq!(event.number, number);
    }
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_acknowledged_and_the_session_lives() {
    let fleet = Fleet::start().await;
    let host = fleet.host();
    let (mut line, _) = host.open(hello("boot", 1)).await;
    *fleet.backend.full.lock().unwrap() = true;
    line.send(Body::Event(outcome(1))).await;
    line.send(Body::Heartbeat(Heartbeat::default())).await;
    let Order::Ack(ack) = line.next().await else {
        panic!("no ack")
    };
    assert_eq!(ack.through, 0);
    *fleet.backend.full.lock().unwrap() = false;
    let Order::Ack(ack) = line.next().await else {
        panic!("no ack")
    };
    assert_eq!(ack.through, 1);
}

#[tokio::test]
async fn a_host_whose_events_cannot_be_stored_holds_up_no_other() {
    let fleet = Fleet::start().await;
    let (cursed, fine) = (fleet.host(), fleet.host());
    *fleet.backend.cursed.lock().unwrap() = Some(cursed.id);
    let (mut bad, _) = cursed.open(hello("boot", 1)).await;
    let (mut good, _) = fine.open(hello("boot", 1)).await;
    bad.send(Body::Event(outcome(1))).await;
    nothing_more(&mut bad).await;
    good.send(Body::Event(outcome(1))).await;
    let Order::Ack(ack) = good.next().await else {
        panic!("no ack")
    };
    assert_eq!(ack.through, 1);
    assert_eq!(reason(&bad.end().await.unwrap_err()), Refusal::Busy);
    let (mut again, welcome) = cursed.open(hello("boot", 1)).await;
    assert_eq!(welcome.recorded_through, 0);
    *fleet.backend.cursed.lock().unwrap() = None;
    again.send(Body::Event(outcome(1))).await;
    let Order::Ack(ack) = again.next().await else {
        panic!("no ack")
    };
    assert_eq!(ack.through, 1);
}

#[tokio::test]
async fn an_old_certificate_is_to_be_renewed() {
    let fleet = Fleet::start().await;
    let (_, welcome) = fleet.host().open(hello("boot", 1)).await;
    assert!(!welcome.renew_certificate);
    let week = std::time::SystemTime::now() - 8 * Duration::from_secs(24 * 3600);
    let key = foundry_link::pki::HostKey::generate().unwrap();
    let host = fleet.certified_at(foundry_proto::HostId::generate(), &key, week);
    fleet.admit(&host, 1);
    let (_, welcome) = host.open(hello("boot", 1)).await;
    assert!(welcome.renew_certificate);
}

#[tokio::test]
async fn an_observe_is_answered_by_its_own_reply() {
    let fleet = Fleet::start().await;
    let host = fleet.host();
    let (mut line, _) = host.open(hello("boot", 1)).await;
    let session = fleet.session(&host).await;
    let items = vec![ObserveItem {
        name: "a".to_owned(),
        content: "content".into(),
    }];
    let asked = tokio::spawn({
        let session = session.clone();
        async move { session.observe(items, true, PATIENCE).await }
    });
    let Order::Observe(observe) = line.next().await else {
        panic!("no observe")
    };
    assert!(observe.facts && observe.items.len() == 1);
    let assignments = vec![ObservedAssignment {
        name: "a".to_owned(),
        ..Default::default()
    }];
    let stray = ObserveReply {
        id: observe.id + 7,
        ..Default::default()
    };
    line.send(Body::ObserveReply(stray)).await;
    let reply = ObserveReply {
        id: observe.id,
        assignments,
        facts: None,
    };
    line.send(Body::ObserveReply(reply.clone())).await;
    assert_eq!(asked.await.unwrap().unwrap(), reply);
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_named() {
    let fleet = Fleet::start().await;
    let host = fleet.host();
    let (line, _) = host.open(hello("boot", 1)).await;
    let session = fleet.session(&host).await;
    let error = session
        .observe(Vec::new(), false, Duration::from_millis(20))
        .await
        .unwrap_err();
    assert!(matches!(&error, SessionError::Timeout { host: who, .. } if *who == host.id));
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.observe(Vec::new(), false, PATIENCE).await }
    });
    drop(line);
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error, SessionError::Disconnected(host.id));
    session.closed().await;
}

#[tokio::test]
async fn vitals_and_reports_reach_the_controller() {
    let fleet = Fleet::start().await;
    let host = fleet.host();
    let (mut line, _) = host.open(hello("boot", 1)).await;
    let mut events = fleet.hub.subscribe();
    let health = Some(Health {
        healthy: true,
        ..Default::default()
    });
    let report = HealthReport {
        assignment: "a".to_owned(),
        revision: 1,
        health,
    };
    line.send(Body::Health(report.clone())).await;
    let HubEvent::Health { report: got, .. } = event(&mut events).await else {
        panic!("no health")
    };
    assert_eq!(got, report);
    let subsystem = Subsystem {
        name: "executor".to_owned(),
        progress: 7,
        busy_ms: 3,
    };
    let heartbeat = Heartbeat {
        sequence: 1,
        subsystems: vec![subsystem.clone()],
        memory_bytes: 9,
    };
    line.send(Body::Heartbeat(heartbeat)).await;
    line.next().await;
    let [info] = &fleet.hub.sessions()[..] else {
        panic!("one session")
    };
    assert_eq!(
        (&info.subsystems[..], info.memory_bytes),
        (&[subsystem][..], 9)
    );
}

#[tokio::test]
async fn a_certificate_is_renewed_over_the_session() {
    let fleet = Fleet::start().await;
    let (mut line, _) = fleet.host().open(hello("boot", 1)).await;
    line.send(Body::CertificateRequest(CertificateRequest {
        csr: "csr".into(),
    }))
    .await;
    let Order::Certificate(issued) = line.next().await else {
        panic!("no certificate")
    };
    assert_eq!(&issued.chain[0][..], b"leaf");
}

#[tokio::test]
async fn the_newer_start_on_one_boot_takes_over() {
    let fleet = Fleet::start().await;
    let host = fleet.host();
    let (mut first, _) = host.open(hello("boot", 1)).await;
    let (mut second, _) = host.open(hello("boot", 2)).await;
    assert_eq!(first.end().await.unwrap_err().code(), Code::Aborted);
    let status = refused(&host, hello("boot", 1)).await;
    assert_eq!(reason(&status), Refusal::Duplicate);
    nothing_more(&mut second).await;
}

#[tokio::test]
async fn after_a_reboot_the_silent_old_session_gives_way() {
    let fleet = Fleet::start().await;
    let host = fleet.host();
    let (mut old, _) = host.open(hello("before", 9)).await;
    // The old line is never read, so its ping stays unanswered.
    let (mut new, _) = host.open(hello("after", 1)).await;
    nothing_more(&mut new).await;
    assert!(old.end().await.is_err());
}

#[tokio::test]
async fn an_identity_used_twice_gives_neither_work() {
    let fleet = Fleet::start().await;
    let host = fleet.host();
    fleet.wants(&host, assign("work", 1));
    let (mut first, _) = host.open(holding(&[("work", 1)])).await;
    let answering = tokio::spawn(async move {
        loop {
            match first.received().await {
                Ok(Some(Order::Ping(ping))) => first.send(Body::Pong(Pong { id: ping.id })).await,
                Ok(Some(_)) => {}
                Ok(None) => panic!("ended without a reason"),
                Err(status) => return status,
            }
        }
    });
    let twin = refused(&host, hello("elsewhere", 1)).await;
    assert_eq!(reason(&twin), Refusal::Duplicate);
    assert_eq!(twin.message(), "identity used twice");
    assert_eq!(reason(&answering.await.unwrap()), Refusal::Duplicate);
    for boot in ["boot", "elsewhere"] {
        let status = refused(&host, hello(boot, 2)).await;
        assert_eq!(
            reason(&status),
            Refusal::Duplicate,
            "{boot} got in while its twin is about"
        );
    }
}

/// How the hub refuses this Hello.
async fn refused(host: &Host, hello: Hello) -> tonic::Status {
    let mut line = host.dial(hello).await.expect("a stream");
    line.received().await.expect_err("let in")
}

#[tokio::test]
async fn a_peer_that_breaks_the_protocol_is_told() {
    let fleet = Fleet::start().await;
    let host = fleet.host();
    let newer = Hello {
        protocol_min: 7,
        protocol_max: 9,
        ..hello("boot", 1)
    };
    assert_eq!(reason(&refused(&host, newer).await), Refusal::Protocol);
    let nameless = Hello {
        boot_id: String::new(),
        ..hello("boot", 1)
    };
    assert_eq!(refused(&host, nameless).await.code(), Code::InvalidArgument);
    let (mut line, _) = host.open(hello("boot", 1)).await;
    line.send(Body::Hello(hello("boot", 1))).await;
    assert_eq!(line.end().await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn an_event_that_no_agent_sends_ends_the_session() {
    let fleet = Fleet::start().await;
    let (mut line, _) = fleet.host().open(hello("boot", 1)).await;
    let assignment = "x".repeat(200_000);
    line.send(Body::Event(Event {
        assignment,
        ..outcome(1)
    }))
    .await;
    assert_eq!(line.end().await.unwrap_err().code(), Code::InvalidArgument);
    assert!(fleet.backend.events.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_silent_session_ends() {
    let fleet = Fleet::with(|settings| settings.ttl = Duration::from_millis(300)).await;
    let host = fleet.host();
    let (mut line, welcome) = host.open(hello("boot", 1)).await;
    assert_eq!(welcome.session_ttl_ms, 300);
    assert_eq!(line.end().await.unwrap_err().code(), Code::DeadlineExceeded);
    assert!(fleet.hub.session(host.id).is_none());
}

#[tokio::test]
async fn a_connection_goes_with_the_session_that_was_ended_on_it() {
    let fleet = Fleet::with(|settings| settings.ttl = Duration::from_millis(100)).await;
    let mut client = fleet.host().client().await;
    let mut line = dial_over(&mut client, hello("boot", 1)).await.unwrap();
    assert!(line.end().await.is_err());
    let closed = async {
        while client
            .forward(tokio_stream::empty())
            .await
            .unwrap_err()
            .code()
            == Code::Unimplemented
        {}
    };
    tokio::time::timeout(PATIENCE, closed)
        .await
        .expect("closed");
}

#[tokio::test]
async fn stopping_ends_the_sessions_and_then_the_hub() {
    let fleet = Fleet::start().await;
    let (mut line, _) = fleet.host().open(hello("boot", 1)).await;
    fleet.stop.cancel();
    assert_eq!(line.end().await.unwrap_err().code(), Code::Unavailable);
    tokio::time::timeout(PATIENCE, fleet.hub.stopped())
        .await
        .expect("stopped");
    assert!(
        tokio::net::TcpStream::connect(fleet.hub.local_addr())
            .await
            .is_err()
    );
}
