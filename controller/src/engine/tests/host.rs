//! A host that dials the hub over TLS and does as its test tells it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use foundry_link::tls::{self, Clock, Credentials};
use foundry_proto::agent::v1::agent_message::Body;
use foundry_proto::agent::v1::controller_client::ControllerClient;
use foundry_proto::agent::v1::controller_message::Body as Order;
use foundry_proto::agent::v1::{
    Accepted, Action, AgentMessage, Assign, Assignment, ControllerMessage, Event, Health,
    HealthReport, Heartbeat, Hello, Holding, JobOutcome, ObserveReply, ObservedAssignment, Outcome,
    Phase, Pong, Rejected, TaskDiff, TaskResult, event, job_outcome,
};
use foundry_proto::{FleetId, HostId};
use hyper_util::rt::TokioIo;
use prost::Message as _;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

/// What a host does with what it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// Achieves it, and is healthy.
    Willing,
    /// Accepts it, and it fails.
    Failing,
    /// Accepts it, and nothing follows.
    Hanging,
    /// Achieves it, and its probes fail.
    Ill,
    /// Does not accept it.
    Rejecting,
}

/// An enrolled host with what it keeps on its disk.
#[derive(Clone)]
pub(super) struct Host {
    pub(super) id: HostId,
    fleet: FleetId,
    address: SocketAddr,
    credentials: Arc<Credentials>,
    disk: Arc<Mutex<Disk>>,
    mood: watch::Sender<Mood>,
}

#[derive(Default)]
struct Disk {
    holdings: BTreeMap<String, Holding>,
    assigned: Vec<(String, u64)>,
    number: u64,
    start: u64,
    /// The event that says that everything was taken away.
    uninstalled: Option<u64>,
    /// It has taken its agent away.
    left: bool,
    /// What is there that nobody of ours made, by task.
    found: BTreeMap<String, TaskDiff>,
}

/// A session; dropped, its connection breaks.
pub(super) struct Online {
    _line: DropGuard,
}

// === impl Host ===

impl Host {
    pub(super) fn new(
        id: HostId,
        fleet: FleetId,
        address: SocketAddr,
        credentials: Arc<Credentials>,
    ) -> Self {
        Self {
            id,
            fleet,
            address,
            credentials,
            disk: Arc::default(),
            mood: watch::Sender::new(Mood::Willing),
        }
    }

    pub(super) fn mood(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// Names and revisions as they were sent, in order.
    pub(super) fn assigned(&self) -> Vec<(String, u64)> {
        self.disk.lock().unwrap().assigned.clone()
    }

    /// Its agent was taken away, and has ended its session by itself.
    pub(super) fn has_left(&self) -> bool {
        self.disk.lock().unwrap().left
    }

    /// Something is on the host already.
    pub(super) fn has(&self, task: &str, action: Action, diff: &str) {
        let found = TaskDiff {
            task: task.to_owned(),
            action: action.into(),
            diff: diff.to_owned(),
        };
        self.disk
            .lock()
            .unwrap()
            .found
            .insert(task.to_owned(), found);
    }

    /// Dials, and serves its session until the returned guard is dropped. It is up when this returns.
    pub(super) async fn online(&self) -> Online {
        self.try_online().await.expect("a session")
    }

    pub(super) async fn try_online(&self) -> Result<Online, Status> {
        let (out, messages) = mpsc::channel(64);
        let hello = self.hello();
        out.send(AgentMessage {
            body: Some(Body::Hello(hello)),
        })
        .await
        .unwrap();
        let mut client = self.client().await?;
        let mut inbound = client
            .session(ReceiverStream::new(messages))
            .await?
            .into_inner();
        let first = inbound.message().await?.and_then(|message| message.body);
        let Some(Order::Welcome(_)) = first else {
            panic!("no welcome: {first:?}")
        };
        let line = CancellationToken::new();
        let (host, broken) = (self.clone(), line.clone());
        tokio::spawn(async move {
            let mut beat = tokio::time::interval(std::time::Duration::from_secs(2));
            loop {
                let order = tokio::select! {
                    () = broken.cancelled() => return,
                    _ = beat.tick() => {
                        let beat = AgentMessage { body: Some(Body::Heartbeat(Heartbeat::default())) };
                        if out.send(beat).await.is_err() { return }
                        continue;
                    }
                    order = inbound.message() => order,
                };
                let Ok(Some(order)) = order else { return };
                if host.may_leave(&order) {
                    // Taking the agent away takes a while.
                    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                    host.disk.lock().unwrap().left = true;
                    return;
                }
                for body in host.answer(order.body.expect("a body")) {
                    if out.send(AgentMessage { body: Some(body) }).await.is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Online {
            _line: line.drop_guard(),
        })
    }

    /// Whether its last word was acknowledged.
    fn may_leave(&self, order: &ControllerMessage) -> bool {
        let Some(Order::Ack(ack)) = &order.body else {
            return false;
        };
        let uninstalled = self.disk.lock().unwrap().uninstalled;
        uninstalled.is_some_and(|number| number <= ack.through)
    }

    fn hello(&self) -> Hello {
        let mut disk = self.disk.lock().unwrap();
        disk.start += 1;
        Hello {
            protocol_min: 1,
            protocol_max: 1,
            feature_level: 1,
            version: "0.1.0".to_owned(),
            boot_id: "boot".to_owned(),
            start_id: disk.start,
            ledger_id: self.id.to_string(),
            holdings: disk.holdings.values().cloned().collect(),
            ..Hello::default()
        }
    }

    async fn client(&self) -> Result<ControllerClient<Channel>, Status> {
        let (_, credentials) = watch::channel(Arc::clone(&self.credentials));
        let config = tls::client_config(credentials, &self.fleet, Arc::new(Clock::default()));
        let tcp = TcpStream::connect(self.address).await?;
        let connector = TlsConnector::from(Arc::new(config.expect("a TLS configuration")));
        let stream = connector.connect(tls::controller_name(), tcp).await?;
        let mut stream = Some(TokioIo::new(stream));
        let endpoint = Endpoint::from_static("http://controller");
        let connect = tower::service_fn(move |_| {
            let stream = stream
                .take()
                .ok_or_else(|| std::io::Error::other("dialled again"));
            std::future::ready(stream)
        });
        let channel = endpoint.connect_with_connector(connect).await;
        Ok(ControllerClient::new(
            channel.map_err(|error| Status::from_error(error.into()))?,
        ))
    }

    fn answer(&self, order: Order) -> Vec<Body> {
        match order {
            Order::Observe(observe) => {
                let items = observe.items.into_iter();
                let assignments = items.map(|item| self.compare(&item.name, &item.content));
                vec![Body::ObserveReply(ObserveReply {
                    id: observe.id,
                    assignments: assignments.collect(),
                    facts: None,
                })]
            }
            Order::Assign(assign) => self.take(&assign),
            Order::Ping(ping) => vec![Body::Pong(Pong { id: ping.id })],
            Order::StartJob(job) => {
                let outcome = JobOutcome {
                    id: job.id,
                    result: job_outcome::Result::Done.into(),
                    kept: vec!["/var/lib/web".to_owned()],
                    ..JobOutcome::default()
                };
                let event = self.event("", 0, event::Body::Job(outcome));
                let mut disk = self.disk.lock().unwrap();
                disk.uninstalled = Some(disk.number);
                vec![event]
            }
            Order::Welcome(_)
            | Order::Ack(_)
            | Order::CancelJob(_)
            | Order::OpenForward(_)
            | Order::Certificate(_)
            | Order::UpdateAgent(_)
            | Order::CancelAssignment(_)
            | Order::Settings(_) => Vec::new(),
        }
    }

    fn compare(&self, name: &str, content: &bytes::Bytes) -> ObservedAssignment {
        let disk = self.disk.lock().unwrap();
        let assignment = Assignment::decode(content.clone()).unwrap();
        let digest = foundry_proto::Digest::of(content).to_bytes();
        let held = disk.holdings.get(name);
        let diffs = assignment.tasks.into_iter().map(|task| {
            if let Some(found) = disk.found.get(&task.id) {
                return found.clone();
            }
            let action = match held {
                None => Action::Create,
                Some(held) if held.digest == digest => Action::Unchanged,
                Some(_) => Action::Update,
            };
            TaskDiff {
                task: task.id,
                action: action.into(),
                diff: String::new(),
            }
        });
        ObservedAssignment {
            name: name.to_owned(),
            diffs: diffs.collect(),
            error: String::new(),
        }
    }

    fn take(&self, assign: &Assign) -> Vec<Body> {
        let mood = *self.mood.borrow();
        let content = Assignment::decode(assign.content.clone()).unwrap();
        let (name, revision) = (assign.name.as_str(), assign.revision);
        {
            let mut disk = self.disk.lock().unwrap();
            disk.assigned.push((name.to_owned(), revision));
            if disk
                .holdings
                .get(name)
                .is_some_and(|held| held.revision >= revision)
            {
                return Vec::new();
            }
        }
        if mood == Mood::Rejecting {
            let rejected = Rejected {
                reason: "the disk is full".to_owned(),
            };
            return vec![self.event(name, revision, event::Body::Rejected(rejected))];
        }
        let phase = match mood {
            Mood::Hanging => Phase::Applying,
            Mood::Failing => Phase::Failed,
            Mood::Willing | Mood::Ill | Mood::Rejecting if content.removed => Phase::Removed,
            Mood::Willing | Mood::Ill | Mood::Rejecting => Phase::Achieved,
        };
        let health = Health {
            healthy: mood == Mood::Willing,
            message: if mood == Mood::Ill {
                "503".to_owned()
            } else {
                String::new()
            },
            age_ms: 0,
        };
        let achieved = phase == Phase::Achieved;
        let holding = Holding {
            assignment: name.to_owned(),
            revision,
            digest: assign.digest.clone(),
            phase: phase.into(),
            accepted_age_ms: Some(0),
            achieved_revision: achieved.then_some(revision),
            achieved_age_ms: achieved.then_some(0),
            health: achieved.then(|| health.clone()),
            message: String::new(),
        };
        self.disk
            .lock()
            .unwrap()
            .holdings
            .insert(name.to_owned(), holding);
        let mut said = vec![self.event(name, revision, event::Body::Accepted(Accepted {}))];
        if mood == Mood::Hanging {
            return said;
        }
        let task = TaskResult {
            task: "service".to_owned(),
            changed: true,
            ..TaskResult::default()
        };
        said.push(self.event(name, revision, event::Body::Task(task)));
        let message = if mood == Mood::Failing {
            "port 8080 is taken by nginx"
        } else {
            ""
        };
        let outcome = Outcome {
            phase: phase.into(),
            message: message.to_owned(),
            ..Outcome::default()
        };
        said.push(self.event(name, revision, event::Body::Outcome(outcome)));
        if achieved {
            let health = Some(health);
            said.push(Body::Health(HealthReport {
                assignment: name.to_owned(),
                revision,
                health,
            }));
        }
        said
    }

    fn event(&self, name: &str, revision: u64, body: event::Body) -> Body {
        let mut disk = self.disk.lock().unwrap();
        disk.number += 1;
        Body::Event(Event {
            number: disk.number,
            age_ms: 0,
            assignment: name.to_owned(),
            revision,
            body: Some(body),
        })
    }
}
