//! The agent's end.
//!
//! A [`Session`] lives as long as the agent's process and outlives its connections. Of the ledger's unacknowledged events it
//! keeps a bounded window in memory and asks for more when there is room ([`Session::wants_events`]).

mod bounds;
mod outbox;

use std::time::Duration;

use foundry_proto::agent::v1::agent_message::Body;
use foundry_proto::agent::v1::controller_message::Body as Order;
use foundry_proto::agent::v1::{
    Ack, AgentMessage, Assign, ControllerMessage, DriftReport, Event, HealthReport, Heartbeat,
    Hello, IssuedCertificate, JobOutput, Observe, ObserveReply, OpenForward, Pong, Progress,
    StartJob, UpdateAgent, Welcome, event,
};

use self::outbox::{Outbox, Queue};
use super::{Held, Verdict, Violation};

/// The ttl until the controller says one, and the bounds of what it may say.
const TTL: Duration = Duration::from_secs(15);
const TTL_BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(600));

/// This many heartbeats fit into a ttl: two may be lost.
const HEARTBEATS_PER_TTL: u32 = 3;

/// What the controller wants. Everything here is for the agent's application.
#[derive(Debug, Clone, PartialEq)]
pub enum Instruction {
    /// The session is open.
    Welcome(Welcome),
    /// Settings to keep from now on.
    Settings(Welcome),
    /// An assignment newer than what is held.
    Assign(Assign),
    /// An assignment that must not be accepted, and why.
    Refuse(Assign, &'static str),
    /// Stop attempting this revision.
    Cancel {
        /// The assignment.
        name: String,
        /// Its revision.
        revision: u64,
    },
    /// Say what would change.
    Observe(Observe),
    /// Do this once.
    StartJob(StartJob),
    /// End this job.
    CancelJob(String),
    /// Events up to and including this number are stored.
    Acknowledged(u64),
    /// A new certificate.
    Certificate(IssuedCertificate),
    /// Open a forwarded connection.
    OpenForward(OpenForward),
    /// Change to another binary.
    Update(UpdateAgent),
}

/// The agent's end of all its sessions, one after another.
#[derive(Debug, Default)]
pub struct Session {
    outbox: Outbox,
    connection: Option<Connection>,
}

/// What lives as long as one connection.
#[derive(Debug)]
struct Connection {
    hello: Option<Hello>,
    ledger: String,
    held: Held,
    queue: Queue,
    welcomed: bool,
    ttl: Duration,
    heard: Duration,
    next_heartbeat: Duration,
    sequence: u64,
}

// === impl Session ===

impl Session {
    /// No connection yet; the ledger's events are asked for first.
    pub fn new() -> Self {
        Self::default()
    }

    /// A connection stands: Hello goes first.
    pub fn connect(&mut self, now: Duration, mut hello: Hello) {
        bounds::hello(&mut hello);
        self.outbox.rewind();
        self.connection = Some(Connection {
            ledger: hello.ledger_id.clone(),
            held: Held::of(&hello.holdings),
            hello: Some(hello),
            queue: Queue::default(),
            welcomed: false,
            ttl: TTL,
            heard: now,
            next_heartbeat: now,
            sequence: 0,
        });
    }

    /// The connection is gone. What was not acknowledged goes again over the next one.
    pub fn disconnect(&mut self) {
        self.connection = None;
    }

    /// Whether the controller welcomed this connection.
    pub fn is_open(&self) -> bool {
        self.connection
            .as_ref()
            .is_some_and(|connection| connection.welcomed)
    }

    /// An event that is in the ledger, numbered by it.
    pub fn event(&mut self, now: Duration, mut event: Event) {
        bounds::event(&mut event);
        if let (Some(connection), Some(event::Body::Rejected(_))) =
            (&mut self.connection, &event.body)
        {
            connection.held.rejected(&event.assignment, event.revision);
        }
        self.outbox.event(now, event);
    }

    /// There is room for events of the ledger: those above the number, at most so many.
    pub fn wants_events(&self) -> Option<(u64, usize)> {
        self.outbox.wants_events()
    }

    /// What the ledger had, in answer to [`Session::wants_events`]; fewer than asked for means that it has no more.
    pub fn refill(&mut self, now: Duration, mut events: Vec<Event>, asked: usize) {
        events.iter_mut().for_each(bounds::event);
        self.outbox.refill(now, events, asked);
    }

    /// The latest health of an assignment.
    pub fn health(&mut self, mut report: HealthReport) {
        bounds::health(&mut report);
        self.outbox.health(report);
    }

    /// The latest drift of an assignment.
    pub fn drift(&mut self, mut report: DriftReport) {
        bounds::drift(&mut report);
        self.outbox.drift(report);
    }

    /// Lossy: dropped while not connected or when too much waits.
    pub fn progress(&mut self, mut progress: Progress) {
        bounds::progress(&mut progress);
        if let Some(connection) = &mut self.connection {
            connection.queue.progress(progress);
        }
    }

    /// Lossy: dropped while not connected or when too much waits.
    pub fn job_output(&mut self, output: JobOutput) {
        if let Some(connection) = &mut self.connection {
            connection.queue.output(output);
        }
    }

    /// The answer to an observe of this connection.
    pub fn reply(&mut self, mut reply: ObserveReply) {
        bounds::reply(&mut reply);
        self.answer(Body::ObserveReply(reply));
    }

    /// Anything else that makes sense on this connection only.
    pub fn answer(&mut self, body: Body) {
        if let Some(connection) = &mut self.connection {
            connection.queue.answer(body);
        }
    }

    /// A message of the controller's.
    pub fn received(
        &mut self,
        now: Duration,
        message: ControllerMessage,
    ) -> Result<Option<Instruction>, Violation> {
        let Some(connection) = &mut self.connection else {
            return Ok(None);
        };
        connection.heard = now;
        let Some(order) = message.body else {
            return Ok(None);
        };
        if let Order::Welcome(welcome) = order {
            return connection.welcome(now, welcome, &mut self.outbox).map(Some);
        }
        if !connection.welcomed {
            return Err(Violation::OutOfPlace("a message before welcome"));
        }
        Ok(match order {
            Order::Welcome(_) => None,
            Order::Settings(settings) => Some(Instruction::Settings(settings)),
            Order::Assign(assign) => connection.assign(assign),
            Order::Ack(Ack { ledger_id, through }) => (ledger_id == connection.ledger
                && self.outbox.acknowledged(through))
            .then_some(Instruction::Acknowledged(through)),
            Order::CancelAssignment(cancel) => Some(Instruction::Cancel {
                name: cancel.name,
                revision: cancel.revision,
            }),
            Order::Observe(observe) => Some(Instruction::Observe(observe)),
            Order::StartJob(job) => Some(Instruction::StartJob(job)),
            Order::CancelJob(job) => Some(Instruction::CancelJob(job.id)),
            Order::Certificate(certificate) => Some(Instruction::Certificate(certificate)),
            Order::OpenForward(forward) => Some(Instruction::OpenForward(forward)),
            Order::UpdateAgent(update) => Some(Instruction::Update(update)),
            Order::Ping(ping) => {
                connection.queue.answer(Body::Pong(Pong { id: ping.id }));
                None
            }
        })
    }

    /// The next message to send, if there is one now. Its heartbeats have no subsystems yet.
    pub fn poll(&mut self, now: Duration) -> Option<AgentMessage> {
        let connection = self.connection.as_mut()?;
        let body = if let Some(hello) = connection.hello.take() {
            Body::Hello(hello)
        } else if connection.welcomed {
            connection
                .queue
                .answers()
                .or_else(|| connection.heartbeat(now))
                .or_else(|| self.outbox.poll(now))
                .or_else(|| connection.queue.lossy())?
        } else {
            return None;
        };
        Some(AgentMessage { body: Some(body) })
    }

    /// When to poll again for a heartbeat.
    pub fn heartbeat_at(&self) -> Option<Duration> {
        let open = self
            .connection
            .as_ref()
            .filter(|connection| connection.welcomed)?;
        Some(open.next_heartbeat)
    }

    /// When the session is over if nothing is heard until then.
    pub fn expires_at(&self) -> Option<Duration> {
        self.connection
            .as_ref()
            .map(|connection| connection.heard + connection.ttl)
    }

    /// Nothing was heard for the session's ttl: close the connection.
    pub fn expired(&self, now: Duration) -> bool {
        self.expires_at().is_some_and(|expiry| now >= expiry)
    }
}

// === impl Connection ===

impl Connection {
    fn welcome(
        &mut self,
        now: Duration,
        welcome: Welcome,
        outbox: &mut Outbox,
    ) -> Result<Instruction, Violation> {
        if self.welcomed {
            return Err(Violation::OutOfPlace("a second welcome"));
        }
        if !foundry_proto::PROTOCOL.contains(&welcome.protocol) {
            return Err(Violation::Malformed {
                message: "welcome",
                field: "protocol",
            });
        }
        self.welcomed = true;
        if welcome.session_ttl_ms > 0 {
            let (least, most) = TTL_BOUNDS;
            self.ttl = Duration::from_millis(welcome.session_ttl_ms).clamp(least, most);
        }
        self.next_heartbeat = now + self.ttl / HEARTBEATS_PER_TTL;
        outbox.acknowledged(welcome.recorded_through);
        Ok(Instruction::Welcome(welcome))
    }

    fn assign(&mut self, assign: Assign) -> Option<Instruction> {
        let verdict = self.held.judge(&assign);
        match verdict {
            Verdict::Held => None,
            Verdict::Newer => {
                self.held.insert(&assign);
                Some(Instruction::Assign(assign))
            }
            Verdict::Lower { .. } | Verdict::Conflict => {
                let reason = verdict.refusal().unwrap_or_default();
                Some(Instruction::Refuse(assign, reason))
            }
        }
    }

    fn heartbeat(&mut self, now: Duration) -> Option<Body> {
        if now < self.next_heartbeat {
            return None;
        }
        self.sequence += 1;
        self.next_heartbeat = now + self.ttl / HEARTBEATS_PER_TTL;
        Some(Body::Heartbeat(Heartbeat {
            sequence: self.sequence,
            ..Default::default()
        }))
    }
}
