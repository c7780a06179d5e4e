//! The task of one session: drives the state machine, hands over what arrives, sends what is asked.

mod opening;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use foundry_link::session::Violation;
use foundry_link::session::controller::{Delivery, Session};
use foundry_proto::agent::v1::agent_message::Body as Report;
use foundry_proto::agent::v1::controller_message::Body;
use foundry_proto::agent::v1::{AgentMessage, ControllerMessage, IssuedCertificate, ObserveReply};
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tonic::{Status, Streaming};

pub(super) use self::opening::open;
use super::backend::{BackendError, HostEvent};
use super::connection::Caller;
use super::error::chain;
use super::event::{Disconnect, HubEvent};
use super::handle::{Command, Shared, TaskEnds};
use super::recorder::Entry;
use super::service::Inner;

/// What goes out on a session's stream. Boxed: a channel keeps room for 32 of them.
pub(super) type Outbound = Result<Box<ControllerMessage>, Box<Status>>;

/// Commands wait while this many messages do.
const MOST_WAITING: usize = 16;

/// Observes under way on one session.
const MOST_OBSERVES: usize = 64;

/// Events of one session that are not stored yet; more than any agent sends ahead.
const MOST_UNSTORED: usize = 320;

/// Progress and output of one session that are published within a second.
const MOST_LOSSY: u32 = 500;

/// An open session, as its task sees it.
pub(super) struct Running {
    hub: Arc<Inner>,
    caller: Arc<Caller>,
    shared: Arc<Shared>,
    machine: Session,
    epoch: Instant,
    inbound: Streaming<AgentMessage>,
    outbound: mpsc::Sender<Outbound>,
    ends: TaskEnds,
    next_id: u64,
    observes: HashMap<u64, oneshot::Sender<ObserveReply>>,
    probes: HashMap<u64, oneshot::Sender<()>>,
    renewal: Option<BoxFuture<'static, Result<IssuedCertificate, BackendError>>>,
    lossy: (Instant, u32),
    /// Numbers of the events that were handed to the recorder and are not stored yet.
    unstored: VecDeque<u64>,
}

// === impl Running ===

impl Running {
    /// Runs the session until it ends; says why.
    async fn run(&mut self) -> Disconnect {
        let hub = Arc::clone(&self.hub);
        let shared = Arc::clone(&self.shared);
        let outbound = self.outbound.clone();
        // An event that waits for the recorder: nothing more is read until it is handed in.
        let mut event: Option<HostEvent> = None;
        let mut message: Option<ControllerMessage> = None;
        loop {
            if message.is_none() {
                message = self.machine.poll();
            }
            let reading = event.is_none() && self.unstored.len() < MOST_UNSTORED;
            let deadline = self.epoch + self.machine.expires_at();
            tokio::select! {
                biased;
                reason = shared.ending() => return reason,
                () = hub.stop.cancelled() => return Disconnect::Stopping,
                permit = outbound.reserve(), if message.is_some() => {
                    let Ok(permit) = permit else { return Disconnect::Closed };
                    if let Some(message) = message.take() {
                        permit.send(Ok(Box::new(message)));
                    }
                }
                permit = hub.recorder.reserve(), if event.is_some() => {
                    let Ok(permit) = permit else { return Disconnect::Stopping };
                    if let Some(event) = event.take() {
                        self.unstored.push_back(event.event.number);
                        permit.send(Entry::Event(event, Arc::clone(&shared)));
                    }
                }
                _ = self.ends.recorded.changed() => {
                    let through = *self.ends.recorded.borrow_and_update();
                    self.machine.recorded(through);
                    let stored = self.unstored.partition_point(|number| *number <= through);
                    self.unstored.drain(..stored);
                }
                issued = finished(&mut self.renewal) => {
                    self.renewal = None;
                    self.renewed(issued);
                }
                command = self.ends.commands.recv(), if self.machine.waiting() < MOST_WAITING => {
                    if let Some(command) = command {
                        self.command(*command);
                    }
                }
                received = self.inbound.message(), if reading => {
                    match received {
                        Ok(Some(received)) => match self.received(received) {
                            Ok(next) => event = next,
                            Err(reason) => return reason,
                        },
                        Ok(None) | Err(_) => return Disconnect::Closed,
                    }
                }
                // While an event waits we do not read, so silence is our own doing.
                () = tokio::time::sleep_until(deadline), if reading => {
                    return Disconnect::Silent;
                }
            }
        }
    }

    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// Handles a message of the host's; returns an event that is to be recorded.
    fn received(&mut self, message: AgentMessage) -> Result<Option<HostEvent>, Disconnect> {
        self.shared.heard();
        let now = self.now();
        let violated = |violation: Violation| Disconnect::Protocol(violation.to_string());
        match self.machine.received(now, message).map_err(violated)? {
            None => Ok(None),
            Some(Delivery::Event(event)) => {
                let ledger = self.shared.hello.ledger_id.clone();
                Ok(Some(HostEvent {
                    host: self.shared.host,
                    ledger,
                    event,
                }))
            }
            Some(Delivery::Report(report)) => self.report(*report).map(|()| None),
        }
    }

    fn report(&mut self, report: Report) -> Result<(), Disconnect> {
        let host = self.shared.host;
        match report {
            Report::Heartbeat(heartbeat) => {
                self.hub
                    .admission
                    .check(&self.caller.peer)
                    .map_err(Disconnect::Cut)?;
                self.shared.heartbeat(heartbeat);
            }
            Report::Health(report) => self.hub.publish(HubEvent::Health { host, report }),
            Report::Drift(report) => self.hub.publish(HubEvent::Drift { host, report }),
            Report::Progress(progress) => {
                if self.may_be_lost() {
                    self.hub.publish(HubEvent::Progress { host, progress });
                }
            }
            Report::JobOutput(output) => {
                if self.may_be_lost() {
                    self.hub.publish(HubEvent::JobOutput { host, output });
                }
            }
            Report::ObserveReply(reply) => {
                if let Some(waiting) = self.observes.remove(&reply.id) {
                    let _ = waiting.send(reply);
                }
            }
            Report::Pong(pong) => {
                if let Some(waiting) = self.probes.remove(&pong.id) {
                    let _ = waiting.send(());
                }
            }
            Report::CertificateRequest(request) => {
                if self.renewal.is_none() {
                    let backend = Arc::clone(&self.hub.backend);
                    let renewal = async move { backend.renew(host, &request.csr).await };
                    self.renewal = Some(Box::pin(renewal));
                }
            }
            // Nothing was asked to be forwarded; Hello and events are the machine's.
            Report::ForwardFailed(_) | Report::Hello(_) | Report::Event(_) => {}
        }
        Ok(())
    }

    /// A flood of what may be lost is: subscribers serve all hosts.
    fn may_be_lost(&mut self) -> bool {
        let now = Instant::now();
        let (since, count) = &mut self.lossy;
        if now >= *since + Duration::from_secs(1) {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= MOST_LOSSY
    }

    fn renewed(&mut self, issued: Result<IssuedCertificate, BackendError>) {
        match issued {
            Ok(certificate) => self.machine.send(Body::Certificate(certificate)),
            Err(error) => {
                let (host, cause) = (self.shared.host, chain(&error));
                tracing::warn!(%host, %cause, "a certificate could not be renewed");
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Send(body) => self.machine.send(body),
            Command::Assign(assign, judged) => {
                let _ = judged.send(self.machine.assign(assign));
            }
            Command::Observe(mut observe, reply) => {
                self.observes.retain(|_, waiting| !waiting.is_closed());
                if self.observes.len() < MOST_OBSERVES {
                    observe.id = self.id();
                    self.observes.insert(observe.id, reply);
                    self.machine.send(Body::Observe(observe));
                }
            }
            Command::Probe(reply) => {
                self.probes.retain(|_, waiting| !waiting.is_closed());
                let id = self.id();
                self.probes.insert(id, reply);
                self.machine.ping(id);
            }
        }
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

/// Ends when the work is done; never, where there is none.
async fn finished<T>(work: &mut Option<BoxFuture<'static, T>>) -> T {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}
