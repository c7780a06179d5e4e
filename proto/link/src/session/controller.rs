//! The controller's end: one [`Session`] per connection of a host.

mod contest;

use std::collections::VecDeque;
use std::time::Duration;

use foundry_proto::agent::v1::agent_message::Body as Report;
use foundry_proto::agent::v1::controller_message::Body;
use foundry_proto::agent::v1::{
    Ack, AgentMessage, Assign, ControllerMessage, Event, Hello, Ping, Refusal, Welcome, event,
};
use prost::Message;

pub use self::contest::{Contest, PROBE, Start};
use super::{Held, MOST_EVENT, MOST_HOLDINGS, Verdict, Violation};

/// Ids are short; a longer one is a mistake or an attack.
const LONGEST_ID: usize = 64;

/// What of a host's message concerns the controller's application.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivery {
    /// The next event of the ledger: to be stored, then [`Session::recorded`].
    Event(Event),
    /// Any other report: health, drift, progress, replies, heartbeats.
    Report(Box<Report>),
}

/// The controller's end of one session.
#[derive(Debug)]
pub struct Session {
    ledger: String,
    held: Held,
    /// The highest event number that was delivered; what is not above it came before.
    delivered: u64,
    recorded: u64,
    /// An Ack is owed: something was recorded, or a heartbeat or an old event waits for its answer.
    owes_ack: bool,
    queue: VecDeque<Body>,
    ttl: Duration,
    heard: Duration,
}

// === impl Session ===

impl Session {
    /// Opens a session, or says why not. `recorded` is the highest event of the ledger in Hello that is stored: events that
    /// an earlier session of this host delivered must be stored, or given up, before it is asked for.
    pub fn open(
        now: Duration,
        hello: &Hello,
        recorded: u64,
        mut welcome: Welcome,
    ) -> Result<Self, Refusal> {
        let (least, most) = (
            *foundry_proto::PROTOCOL.start(),
            *foundry_proto::PROTOCOL.end(),
        );
        let protocol = hello.protocol_max.min(most);
        if protocol < hello.protocol_min.max(least) {
            return Err(Refusal::Protocol);
        }
        welcome.protocol = protocol;
        welcome.recorded_through = recorded;
        Ok(Self {
            ledger: hello.ledger_id.clone(),
            held: Held::of(&hello.holdings),
            delivered: recorded,
            recorded,
            owes_ack: false,
            ttl: Duration::from_millis(welcome.session_ttl_ms),
            queue: VecDeque::from([Body::Welcome(welcome)]),
            heard: now,
        })
    }

    /// The first message of a host, or what is wrong with it.
    pub fn hello(message: AgentMessage) -> Result<Hello, Violation> {
        let Some(Report::Hello(hello)) = message.body else {
            return Err(Violation::OutOfPlace("a message before hello"));
        };
        for (field, id) in [("boot id", &hello.boot_id), ("ledger id", &hello.ledger_id)] {
            if id.is_empty() || id.len() > LONGEST_ID {
                return Err(Violation::Malformed {
                    message: "hello",
                    field,
                });
            }
        }
        if hello.holdings.len() > MOST_HOLDINGS {
            return Err(Violation::TooMany {
                what: "holdings",
                limit: MOST_HOLDINGS,
            });
        }
        Ok(hello)
    }

    /// Sends what of `desired` differs from what the host holds. What must not be sent, since the host holds a higher
    /// revision or other content of the same, comes back.
    pub fn desired(&mut self, desired: Vec<Assign>) -> Vec<(Assign, Verdict)> {
        let mut refused = Vec::new();
        for assign in desired {
            let verdict = self.held.judge(&assign);
            if verdict.refusal().is_some() {
                refused.push((assign, verdict));
            } else {
                self.assign(assign);
            }
        }
        refused
    }

    /// Sends one assignment, if the host does not hold it and may be given it.
    pub fn assign(&mut self, assign: Assign) -> Verdict {
        let verdict = self.held.judge(&assign);
        if verdict == Verdict::Newer {
            self.held.insert(&assign);
            self.queue.push_back(Body::Assign(assign));
        }
        verdict
    }

    /// Sends anything else.
    pub fn send(&mut self, body: Body) {
        self.queue.push_back(body);
    }

    /// Asks for a sign of life.
    pub fn ping(&mut self, id: u64) {
        self.queue.push_back(Body::Ping(Ping { id }));
    }

    /// Events up to and including this number are stored.
    pub fn recorded(&mut self, through: u64) {
        if through > self.recorded {
            self.recorded = through;
            self.owes_ack = true;
        }
    }

    /// A message of the host's.
    pub fn received(
        &mut self,
        now: Duration,
        message: AgentMessage,
    ) -> Result<Option<Delivery>, Violation> {
        self.heard = now;
        let Some(report) = message.body else {
            return Ok(None);
        };
        match report {
            Report::Hello(_) => Err(Violation::OutOfPlace("a second hello")),
            Report::Event(event) if event.encoded_len() > MOST_EVENT => Err(Violation::TooMany {
                what: "bytes in an event",
                limit: MOST_EVENT,
            }),
            Report::Event(event) => Ok(self.event(event)),
            Report::Heartbeat(_) => {
                self.owes_ack = true;
                Ok(Some(Delivery::Report(Box::new(report))))
            }
            Report::Health(_)
            | Report::Drift(_)
            | Report::Progress(_)
            | Report::ObserveReply(_)
            | Report::JobOutput(_)
            | Report::CertificateRequest(_)
            | Report::ForwardFailed(_)
            | Report::Pong(_) => Ok(Some(Delivery::Report(Box::new(report)))),
        }
    }

    fn event(&mut self, event: Event) -> Option<Delivery> {
        if event.number <= self.delivered {
            self.owes_ack |= event.number <= self.recorded;
            return None;
        }
        self.delivered = event.number;
        if let Some(event::Body::Rejected(_)) = event.body {
            self.held.rejected(&event.assignment, event.revision);
        }
        Some(Delivery::Event(event))
    }

    /// The next message to send, if there is one.
    pub fn poll(&mut self) -> Option<ControllerMessage> {
        let body = self.queue.pop_front().or_else(|| {
            std::mem::take(&mut self.owes_ack).then(|| {
                Body::Ack(Ack {
                    ledger_id: self.ledger.clone(),
                    through: self.recorded,
                })
            })
        })?;
        Some(ControllerMessage { body: Some(body) })
    }

    /// How many messages wait to be sent.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// When the session ends if nothing is heard until then.
    pub fn expires_at(&self) -> Duration {
        self.heard + self.ttl
    }

    /// Nothing was heard for the session's ttl.
    pub fn expired(&self, now: Duration) -> bool {
        now >= self.expires_at()
    }
}
