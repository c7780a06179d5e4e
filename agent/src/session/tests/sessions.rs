//! Sessions one after another: what goes again, what goes once, and when the agent comes back.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use foundry_proto::agent::v1::agent_message::Body as Report;
use foundry_proto::agent::v1::controller_message::Body as Order;
use foundry_proto::agent::v1::{
    Ack, Assign, CertificateRequest, Event, HealthReport, Hello, IssuedCertificate, JobOutput,
    Observe, ObserveReply, OpenForward, Ping, Refusal, StartJob, Subsystem, UpdateAgent, Welcome,
};
use foundry_proto::{REFUSAL_KEY, RETRY_AFTER_KEY};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::controller::{Fleet, PATIENCE};
use crate::session::{Agent, Dialer, Outgoing, SessionStatus, State, run};

/// What the session asked of the agent, in order.
#[derive(Debug, PartialEq)]
enum Asked {
    Welcome(String),
    Assign(String, u64),
    Refuse(String, u64),
    Cancel(String, u64),
    StartJob(String),
    CancelJob(String),
    Acknowledged(u64),
    Certificate,
    Update(String),
}

/// An agent that notes what it is asked, and has these events in its ledger.
struct Notes {
    asked: mpsc::UnboundedSender<Asked>,
    ledger: Mutex<Vec<Event>>,
}

/// A running driver.
struct Running {
    agent: Arc<Notes>,
    asked: mpsc::UnboundedReceiver<Asked>,
    tell: mpsc::Sender<Outgoing>,
    status: watch::Receiver<SessionStatus>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

// === impl Running ===

impl Running {
    fn start(dialer: Dialer, events: u64) -> Self {
        let (asked, noted) = mpsc::unbounded_channel();
        let ledger = Mutex::new((1..=events).map(event).collect());
        let agent = Arc::new(Notes { asked, ledger });
        let (tell, outgoing) = mpsc::channel(16);
        let (status, seen) = watch::channel(SessionStatus::default());
        let stop = CancellationToken::new();
        let same = Arc::clone(&agent) as Arc<dyn Agent>;
        let task = tokio::spawn(run(dialer, same, outgoing, status, stop.clone()));
        Self {
            agent,
            asked: noted,
            tell,
            status: seen,
            stop,
            task,
        }
    }

    /// Another event, in the ledger and told.
    async fn happen(&self) {
        let event = {
            let mut ledger = self.agent.ledger.lock().unwrap();
            let event = event(ledger.len() as u64 + 1);
            ledger.push(event.clone());
            event
        };
        self.tell.send(Outgoing::Event(event)).await.unwrap();
    }

    async fn asked(&mut self) -> Asked {
        let asked = tokio::time::timeout(PATIENCE, self.asked.recv()).await;
        asked.expect("asked in time").expect("asked")
    }

    /// Waits until the session stands so.
    async fn until(&mut self, stands: impl FnMut(&SessionStatus) -> bool) -> SessionStatus {
        let reached = tokio::time::timeout(PATIENCE, self.status.wait_for(stands)).await;
        reached.expect("in time").expect("a driver").clone()
    }

    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task)
            .await
            .expect("stopped")
            .unwrap();
    }
}

// === impl Notes ===

impl Notes {
    fn note(&self, asked: Asked) {
        self.asked.send(asked).unwrap();
    }
}

#[async_trait::async_trait]
impl Agent for Notes {
    fn hello(&self) -> Hello {
        Hello {
            ledger_id: "ledger".to_owned(),
            ..Default::default()
        }
    }

    async fn unacknowledged(&self, after: u64, limit: usize) -> Vec<Event> {
        let ledger = self.ledger.lock().unwrap();
        ledger
            .iter()
            .filter(|event| event.number > after)
            .take(limit)
            .cloned()
            .collect()
    }

    async fn welcome(&self, welcome: &Welcome) {
        self.note(Asked::Welcome(welcome.store_id.clone()));
    }

    async fn assign(&self, assign: Assign) {
        self.note(Asked::Assign(assign.name, assign.revision));
    }

    async fn refuse(&self, assign: Assign, _reason: String) {
        self.note(Asked::Refuse(assign.name, assign.revision));
    }

    async fn cancel(&self, name: &str, revision: u64) {
        self.note(Asked::Cancel(name.to_owned(), revision));
    }

    async fn observe(&self, observe: Observe) -> ObserveReply {
        if observe.facts {
            std::future::pending::<()>().await;
        }
        ObserveReply::default()
    }

    async fn start_job(&self, job: StartJob) {
        self.note(Asked::StartJob(job.id));
    }

    async fn cancel_job(&self, id: &str) {
        self.note(Asked::CancelJob(id.to_owned()));
    }

    async fn acknowledged(&self, through: u64) {
        self.note(Asked::Acknowledged(through));
    }

    async fn certificate(&self, _certificate: IssuedCertificate) {
        self.note(Asked::Certificate);
    }

    async fn update(&self, update: UpdateAgent) {
        self.note(Asked::Update(update.version));
    }

    fn subsystems(&self) -> Vec<Subsystem> {
        vec![Subsystem {
            name: "executor".to_owned(),
            progress: 1,
            busy_ms: 0,
        }]
    }
}

fn event(number: u64) -> Event {
    Event {
        number,
        ..Default::default()
    }
}

fn assign(name: &str, revision: u64) -> Order {
    Order::Assign(Assign {
        name: name.to_owned(),
        revision,
        ..Default::default()
    })
}

fn ack(through: u64) -> Order {
    Order::Ack(Ack {
        ledger_id: "ledger".to_owned(),
        through,
    })
}

fn store(id: &str) -> Welcome {
    Welcome {
        store_id: id.to_owned(),
        ..Default::default()
    }
}

fn refusal(reason: Refusal) -> Status {
    let mut status = Status::permission_denied("because");
    status
        .metadata_mut()
        .insert(REFUSAL_KEY, reason.as_str_name().parse().unwrap());
    status
}

#[tokio::test]
async fn orders_reach_the_agent_in_their_order() {
    let mut fleet = Fleet::start();
    let (dialer, _publish) = fleet.dialer();
    let mut running = Running::start(dialer, 0);
    let (call, hello) = fleet.session(store("one")).await;
    assert_eq!(hello.ledger_id, "ledger");
    for order in [
        assign("a", 2),
        assign("a", 2),
        assign("a", 1),
        assign("b", 1),
        Order::StartJob(StartJob {
            id: "job".to_owned(),
            ..Default::default()
        }),
        Order::CancelJob(foundry_proto::agent::v1::CancelJob {
            id: "job".to_owned(),
        }),
        Order::CancelAssignment(foundry_proto::agent::v1::CancelAssignment {
            name: "a".to_owned(),
            revision: 2,
        }),
        Order::Certificate(IssuedCertificate::default()),
        Order::UpdateAgent(UpdateAgent {
            version: "9".to_owned(),
            ..Default::default()
        }),
        Order::Settings(store("two")),
    ] {
        call.send(order).await;
    }
    for expected in [
        Asked::Welcome("one".to_owned()),
        Asked::Assign("a".to_owned(), 2),
        Asked::Refuse("a".to_owned(), 1),
        Asked::Assign("b".to_owned(), 1),
        Asked::StartJob("job".to_owned()),
        Asked::CancelJob("job".to_owned()),
        Asked::Cancel("a".to_owned(), 2),
        Asked::Certificate,
        Asked::Update("9".to_owned()),
        Asked::Welcome("two".to_owned()),
    ] {
        assert_eq!(running.asked().await, expected);
    }
    running.stop().await;
}

#[tokio::test]
async fn events_go_again_until_they_are_acknowledged() {
    let mut fleet = Fleet::start();
    let (dialer, _publish) = fleet.dialer();
    let mut running = Running::start(dialer, 2);
    let (mut call, _) = fleet.session(store("s")).await;
    running
        .until(|status| matches!(status.state, State::Open { .. }))
        .await;
    running.happen().await;
    for number in 1..=3 {
        assert!(matches!(call.next().await, Report::Event(event) if event.number == number));
    }
    call.send(ack(2)).await;
    assert_eq!(running.asked().await, Asked::Welcome("s".to_owned()));
    assert_eq!(running.asked().await, Asked::Acknowledged(2));
    fleet.stop().await;
    running.happen().await;
    running
        .until(|status| matches!(status.state, State::Waiting { .. }))
        .await;
    fleet.restart();
    let (mut call, _) = fleet.session(store("s")).await;
    for number in 3..=4 {
        assert!(matches!(call.next().await, Report::Event(event) if event.number == number));
    }
    running.stop().await;
}

#[tokio::test]
async fn what_is_stored_already_does_not_go_again() {
    let mut fleet = Fleet::start();
    let (dialer, _publish) = fleet.dialer();
    let running = Running::start(dialer, 5);
    let welcome = Welcome {
        recorded_through: 4,
        ..store("s")
    };
    let (mut call, _) = fleet.session(welcome).await;
    assert!(matches!(call.next().await, Report::Event(event) if event.number == 5));
    running.stop().await;
}

#[tokio::test]
async fn a_wedged_observe_delays_neither_orders_nor_answers() {
    let mut fleet = Fleet::start();
    let (dialer, _publish) = fleet.dialer();
    let mut running = Running::start(dialer, 0);
    let (mut call, _) = fleet.session(store("s")).await;
    call.send(Order::Observe(Observe {
        id: 1,
        facts: true,
        ..Default::default()
    }))
    .await;
    call.send(Order::Observe(Observe {
        id: 2,
        ..Default::default()
    }))
    .await;
    let Report::ObserveReply(reply) = call.next().await else {
        panic!("no reply")
    };
    assert_eq!(reply.id, 2);
    call.send(assign("a", 1)).await;
    call.send(Order::Ping(Ping { id: 7 })).await;
    assert!(matches!(call.next().await, Report::Pong(pong) if pong.id == 7));
    running.asked().await;
    assert_eq!(running.asked().await, Asked::Assign("a".to_owned(), 1));
    running.stop().await;
}

#[tokio::test]
async fn reports_travel_and_a_forward_is_declined() {
    let mut fleet = Fleet::start();
    let (dialer, _publish) = fleet.dialer();
    let mut running = Running::start(dialer, 0);
    let (mut call, _) = fleet.session(store("s")).await;
    running
        .until(|status| matches!(status.state, State::Open { .. }))
        .await;
    let health = HealthReport {
        assignment: "a".to_owned(),
        ..Default::default()
    };
    running
        .tell
        .send(Outgoing::Health(health.clone()))
        .await
        .unwrap();
    assert!(matches!(call.next().await, Report::Health(got) if got == health));
    let request = CertificateRequest { csr: "csr".into() };
    running
        .tell
        .send(Outgoing::CertificateRequest(request.clone()))
        .await
        .unwrap();
    assert!(matches!(call.next().await, Report::CertificateRequest(got) if got == request));
    let output = JobOutput {
        id: "job".to_owned(),
        data: "x".into(),
        ..Default::default()
    };
    running
        .tell
        .send(Outgoing::JobOutput(output.clone()))
        .await
        .unwrap();
    assert!(matches!(call.next().await, Report::JobOutput(got) if got == output));
    call.send(Order::OpenForward(OpenForward {
        id: 3,
        ..Default::default()
    }))
    .await;
    assert!(matches!(call.next().await, Report::ForwardFailed(failed) if failed.id == 3));
    running.stop().await;
}

#[tokio::test]
async fn a_heartbeat_says_how_far_the_agent_is() {
    let mut fleet = Fleet::start();
    let (dialer, _publish) = fleet.dialer();
    let running = Running::start(dialer, 0);
    let (mut call, _) = fleet
        .session(Welcome {
            session_ttl_ms: 1000,
            ..store("s")
        })
        .await;
    let Report::Heartbeat(heartbeat) = call.next().await else {
        panic!("no heartbeat")
    };
    assert_eq!(heartbeat.subsystems[0].name, "executor");
    running.stop().await;
}

#[tokio::test]
async fn a_controller_that_falls_silent_is_left() {
    let mut fleet = Fleet::start();
    let (dialer, _publish) = fleet.dialer();
    let mut running = Running::start(dialer, 0);
    let (_call, _) = fleet
        .session(Welcome {
            session_ttl_ms: 1000,
            ..store("s")
        })
        .await;
    let status = running
        .until(|status| matches!(status.state, State::Waiting { .. }))
        .await;
    let State::Waiting { cause, .. } = status.state else {
        panic!("{status:?}")
    };
    assert_eq!(cause, "nothing was heard of the controller");
    fleet.session(store("s")).await;
    running.stop().await;
}

#[tokio::test]
async fn a_refused_agent_asks_again_in_about_an_hour() {
    let mut fleet = Fleet::start();
    *fleet.refusal.lock().unwrap() = Some(refusal(Refusal::Removed));
    let (dialer, _publish) = fleet.dialer();
    let mut running = Running::start(dialer, 0);
    let status = running
        .until(|status| matches!(status.state, State::Refused { .. }))
        .await;
    let State::Refused {
        reason,
        message,
        retry_in,
    } = status.state
    else {
        panic!("{status:?}")
    };
    assert_eq!((reason, &message[..]), (Refusal::Removed, "because"));
    assert!(retry_in >= Duration::from_secs(1800), "{retry_in:?}");
    assert!(fleet.calls.try_recv().is_err());
    running.stop().await;
}

#[tokio::test]
async fn a_session_that_is_cut_is_refused() {
    let mut fleet = Fleet::start();
    let (dialer, _publish) = fleet.dialer();
    let mut running = Running::start(dialer, 0);
    let (call, _) = fleet.session(store("s")).await;
    running
        .until(|status| matches!(status.state, State::Open { .. }))
        .await;
    call.end(refusal(Refusal::Duplicate)).await;
    let status = running
        .until(|status| matches!(status.state, State::Refused { .. }))
        .await;
    assert!(matches!(
        status.state,
        State::Refused {
            reason: Refusal::Duplicate,
            ..
        }
    ));
    running.stop().await;
}

#[tokio::test]
async fn a_busy_controller_is_asked_again_when_it_said() {
    let mut fleet = Fleet::start();
    let (dialer, _publish) = fleet.dialer();
    let running = Running::start(dialer, 0);
    let call = fleet.call().await;
    let mut busy = refusal(Refusal::Busy);
    busy.metadata_mut()
        .insert(RETRY_AFTER_KEY, "20".parse().unwrap());
    call.end(busy).await;
    fleet.session(store("s")).await;
    running.stop().await;
}

#[tokio::test]
async fn a_new_certificate_brings_the_agent_back_with_it() {
    let mut fleet = Fleet::start();
    let (dialer, publish) = fleet.dialer();
    let mut running = Running::start(dialer, 0);
    let (mut first, _) = fleet.session(store("s")).await;
    running
        .until(|status| matches!(status.state, State::Open { .. }))
        .await;
    publish.send(fleet.host()).unwrap();
    let _second = fleet.session(store("s")).await;
    assert_eq!(first.received().await, None);
    assert_eq!(
        running.until(|status| status.sessions == 2).await.sessions,
        2
    );
    running.stop().await;
}

#[tokio::test]
async fn a_new_certificate_ends_the_wait_of_a_refused_agent() {
    let mut fleet = Fleet::start();
    *fleet.refusal.lock().unwrap() = Some(refusal(Refusal::UnknownKey));
    let (dialer, publish) = fleet.dialer();
    let mut running = Running::start(dialer, 0);
    running
        .until(|status| matches!(status.state, State::Refused { .. }))
        .await;
    *fleet.refusal.lock().unwrap() = None;
    publish.send(fleet.host()).unwrap();
    let _call = fleet.session(store("s")).await;
    running.until(|status| status.sessions == 1).await;
    running.stop().await;
}

#[tokio::test]
async fn addresses_from_the_controller_are_dialled_from_then_on() {
    let mut fleet = Fleet::start();
    let (dialer, _publish) = fleet.dialer();
    let mut running = Running::start(dialer, 0);
    let addresses = vec![
        "127.0.0.1:1".to_owned(),
        format!("localhost:{}", fleet.address.port()),
    ];
    let (call, _) = fleet
        .session(Welcome {
            addresses,
            ..store("s")
        })
        .await;
    call.end(Status::unavailable("the controller stops")).await;
    let _call = fleet.session(store("s")).await;
    let status = running.until(|status| status.sessions == 2).await;
    let State::Open { address } = status.state else {
        panic!("{status:?}")
    };
    assert!(address.starts_with("localhost:"), "{address}");
    running.stop().await;
}

#[tokio::test]
async fn stopping_closes_the_session_properly() {
    let mut fleet = Fleet::start();
    let (dialer, _publish) = fleet.dialer();
    let mut running = Running::start(dialer, 0);
    let (mut call, _) = fleet.session(store("s")).await;
    running
        .until(|status| matches!(status.state, State::Open { .. }))
        .await;
    let mut status = running.status.clone();
    running.stop().await;
    assert_eq!(call.received().await, None);
    assert_eq!(status.borrow_and_update().state, State::Stopped);
}
