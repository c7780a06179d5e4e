//! The task that dials and runs the session.

use std::sync::Arc;
use std::time::Duration;

use foundry_link::backoff::{Backoff, Policy};
use foundry_link::session::agent::{Instruction, Session};
use foundry_proto::agent::v1::agent_message::Body;
use foundry_proto::agent::v1::{AgentMessage, ControllerMessage, Event, ForwardFailed, Welcome};
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

use super::agent::{Agent, Outgoing};
use super::channel::{self, Windows};
use super::dial::Dialer;
use super::ended::Ended;
use super::status::{SessionStatus, State};
use super::worker::Worker;

/// For the controller to take the call.
const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// For the controller to end its half when the agent stops.
const FAREWELL: Duration = Duration::from_millis(500);

/// How much the controller may send ahead on a session: orders are small.
const WINDOWS: Windows = Windows {
    stream: 64 * 1024 - 1,
    connection: 128 * 1024,
};

/// Messages between this task and the connection's.
const OUTBOUND: usize = 4;

/// Keeps a session open until `stop`: dials, speaks, and dials again by the controller's reconnect policy. Closing
/// `outgoing` is not an end. When the dialer's credentials change, it comes back with the new ones at once.
pub async fn run(
    dialer: Dialer,
    agent: Arc<dyn Agent>,
    outgoing: mpsc::Receiver<Outgoing>,
    status: watch::Sender<SessionStatus>,
    stop: CancellationToken,
) {
    let driver = Driver {
        dialer,
        worker: Worker::start(Arc::clone(&agent)),
        agent,
        outgoing,
        status,
        machine: Session::new(),
        epoch: Instant::now(),
        seen: Instant::now(),
        backoff: Backoff::new(Policy::default()),
        refill: None,
        noted: String::new(),
    };
    driver.run(stop).await;
}

struct Driver {
    dialer: Dialer,
    agent: Arc<dyn Agent>,
    worker: Worker,
    outgoing: mpsc::Receiver<Outgoing>,
    status: watch::Sender<SessionStatus>,
    machine: Session,
    epoch: Instant,
    /// When there was a session last.
    seen: Instant,
    backoff: Backoff,
    /// Events on their way from the ledger.
    refill: Option<BoxFuture<'static, (Vec<Event>, usize)>>,
    /// Why there is no session, as it was last logged: the same again is no news.
    noted: String,
}

/// A call that the controller took.
struct Call {
    address: String,
    inbound: Streaming<ControllerMessage>,
    outbound: mpsc::Sender<AgentMessage>,
}

// === impl Driver ===

impl Driver {
    async fn run(mut self, stop: CancellationToken) {
        while let Some(ended) = self.once(&stop).await {
            self.machine.disconnect();
            let retry_in = self.retry_in(&ended);
            self.note(&ended, retry_in);
            let mut credentials = self.dialer.credentials.clone();
            let wait = async move {
                tokio::select! {
                    () = tokio::time::sleep(retry_in) => {}
                    Ok(()) = credentials.changed() => {}
                }
            };
            if self.beside(wait, &stop).await.is_none() {
                break;
            }
        }
        self.machine.disconnect();
        self.worker.stop().await;
        self.status
            .send_modify(|status| status.state = State::Stopped);
    }

    /// One attempt, and the session if it comes to one. `None`: stopped.
    async fn once(&mut self, stop: &CancellationToken) -> Option<Ended> {
        self.status
            .send_modify(|status| status.state = State::Dialing);
        // What is dialled with from here on is current; a later change is another reason to come back.
        self.dialer.credentials.mark_unchanged();
        let dialer = self.dialer.clone();
        match self.beside(call(dialer), stop).await? {
            Ok(call) => self.converse(call, stop).await,
            Err(ended) => Some(ended),
        }
    }

    /// The work, while what the agent has to tell is taken in. `None`: stopped.
    async fn beside<T>(
        &mut self,
        work: impl Future<Output = T>,
        stop: &CancellationToken,
    ) -> Option<T> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                () = stop.cancelled() => return None,
                done = &mut work => return Some(done),
                Some(told) = self.outgoing.recv() => self.tell(told),
            }
        }
    }

    /// Speaks until the session ends. `None`: stopped.
    async fn converse(&mut self, call: Call, stop: &CancellationToken) -> Option<Ended> {
        let Call {
            address,
            mut inbound,
            outbound,
        } = call;
        let instructions = self.worker.instructions.clone();
        let now = self.now();
        self.machine.connect(now, self.agent.hello());
        let mut instruction: Option<Box<Instruction>> = None;
        let mut message = None;
        loop {
            self.start_refill();
            let now = self.now();
            if message.is_none() {
                message = self
                    .machine
                    .poll(now)
                    .map(|message| self.with_vitals(message));
            }
            let heartbeat = self.machine.heartbeat_at().map(|at| self.epoch + at);
            let expiry = self.machine.expires_at().map(|at| self.epoch + at);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                permit = outbound.reserve(), if message.is_some() => {
                    // A closed stream shows its reason on the way in.
                    if let (Ok(permit), Some(message)) = (permit, message.take()) {
                        permit.send(message);
                    }
                }
                permit = instructions.reserve(), if instruction.is_some() => {
                    if let (Ok(permit), Some(instruction)) = (permit, instruction.take()) {
                        permit.send(instruction);
                    }
                }
                received = inbound.message(), if instruction.is_none() => match received {
                    Ok(Some(received)) => match self.received(received, &address) {
                        Ok(next) => instruction = next,
                        Err(ended) => return Some(ended),
                    },
                    Ok(None) => return Some(Ended::Lost("the controller closed the session".into())),
                    Err(status) => return Some(Ended::of(&status)),
                },
                Some(told) = self.outgoing.recv() => self.tell(told),
                Some(reply) = self.worker.replies.recv() => self.machine.reply(reply),
                (events, asked) = finished(&mut self.refill) => {
                    self.refill = None;
                    let now = self.now();
                    self.machine.refill(now, events, asked);
                }
                Ok(()) = self.dialer.credentials.changed(), if self.machine.is_open() => {
                    return Some(Ended::Renewed);
                }
                () = sleep_until(heartbeat), if message.is_none() => {}
                // While an instruction waits for the agent we do not read, so silence is our own doing.
                () = sleep_until(expiry), if instruction.is_none() => return Some(Ended::Silent),
            }
        }
        // Our half first, so that the controller sees an end and not a loss.
        drop(outbound);
        let ended = async { while let Ok(Some(_)) = inbound.message().await {} };
        let _ = tokio::time::timeout(FAREWELL, ended).await;
        None
    }

    /// Handles a message of the controller's; returns what is for the agent.
    fn received(
        &mut self,
        message: ControllerMessage,
        address: &str,
    ) -> Result<Option<Box<Instruction>>, Ended> {
        let now = self.now();
        self.seen = Instant::now();
        let instruction = self
            .machine
            .received(now, message)
            .map_err(Ended::Violated)?;
        match &instruction {
            Some(Instruction::Welcome(welcome)) => {
                tracing::info!(%address, "the session is open");
                self.noted.clear();
                self.backoff.reset();
                self.settle(welcome);
                self.status.send_modify(|status| {
                    status.state = State::Open {
                        address: address.to_owned(),
                    };
                    status.sessions += 1;
                });
            }
            Some(Instruction::Settings(settings)) => self.settle(settings),
            Some(Instruction::OpenForward(forward)) => {
                let reason = "this agent forwards no connections yet".to_owned();
                self.machine.answer(Body::ForwardFailed(ForwardFailed {
                    id: forward.id,
                    reason,
                }));
                return Ok(None);
            }
            Some(_) | None => {}
        }
        Ok(instruction.map(Box::new))
    }

    /// Takes over what concerns dialling.
    fn settle(&mut self, settings: &Welcome) {
        if let Some(policy) = &settings.reconnect {
            self.backoff.set_policy(policy.into());
        }
        if !settings.addresses.is_empty() {
            self.dialer.addresses.clone_from(&settings.addresses);
        }
    }

    /// Takes in what the agent has to tell.
    fn tell(&mut self, told: Outgoing) {
        let now = self.now();
        match told {
            Outgoing::Event(event) => self.machine.event(now, event),
            Outgoing::Health(report) => self.machine.health(report),
            Outgoing::Drift(report) => self.machine.drift(report),
            Outgoing::Progress(progress) => self.machine.progress(progress),
            Outgoing::JobOutput(output) => self.machine.job_output(output),
            Outgoing::CertificateRequest(request) => {
                self.machine.answer(Body::CertificateRequest(request));
            }
        }
    }

    /// Fetches more events from the ledger when there is room for them.
    fn start_refill(&mut self) {
        if self.refill.is_some() {
            return;
        }
        if let Some((after, limit)) = self.machine.wants_events() {
            let agent = Arc::clone(&self.agent);
            self.refill = Some(Box::pin(async move {
                (agent.unacknowledged(after, limit).await, limit)
            }));
        }
    }

    /// A heartbeat says how far each part of the agent is.
    fn with_vitals(&self, mut message: AgentMessage) -> AgentMessage {
        if let Some(Body::Heartbeat(heartbeat)) = &mut message.body {
            heartbeat.subsystems = self.agent.subsystems();
            heartbeat.memory_bytes = self.agent.memory_bytes();
        }
        message
    }

    fn retry_in(&mut self, ended: &Ended) -> Duration {
        match ended {
            Ended::Renewed => Duration::ZERO,
            Ended::Refused { .. } => Backoff::refused_delay(None, random()),
            Ended::Busy {
                retry_after: Some(asked),
            } => Backoff::refused_delay(Some(*asked), random()),
            Ended::Unreachable(_)
            | Ended::Busy { retry_after: None }
            | Ended::Lost(_)
            | Ended::Violated(_)
            | Ended::Silent => self.backoff.next_delay(self.seen.elapsed(), random()),
        }
    }

    fn note(&mut self, ended: &Ended, retry_in: Duration) {
        let cause = ended.to_string();
        if cause == self.noted {
            tracing::debug!(%cause, retry_ms = retry_in.as_millis(), "still no session");
        } else {
            tracing::info!(%cause, retry_ms = retry_in.as_millis(), "no session");
            self.noted.clone_from(&cause);
        }
        let state = match ended {
            Ended::Refused { reason, message } => State::Refused {
                reason: *reason,
                message: message.clone(),
                retry_in,
            },
            Ended::Unreachable(_)
            | Ended::Busy { .. }
            | Ended::Lost(_)
            | Ended::Violated(_)
            | Ended::Silent
            | Ended::Renewed => State::Waiting { cause, retry_in },
        };
        self.status.send_modify(|status| status.state = state);
    }

    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }
}

/// Dials and makes the call.
async fn call(dialer: Dialer) -> Result<Call, Ended> {
    let (address, mut client) = channel::open(&dialer, WINDOWS).await?;
    let (outbound, messages) = mpsc::channel(OUTBOUND);
    let answered = client.session(ReceiverStream::new(messages));
    let response = tokio::time::timeout(CALL_DEADLINE, answered)
        .await
        .map_err(|_| Ended::Silent)?
        .map_err(|status| Ended::of(&status))?;
    Ok(Call {
        address,
        inbound: response.into_inner(),
        outbound,
    })
}

/// Evenly from 0 up to 1.
fn random() -> f64 {
    const BITS: u32 = 53;
    let bits = uuid::Uuid::new_v4().as_u128() as u64 & ((1 << BITS) - 1);
    bits as f64 / (1u64 << BITS) as f64
}

/// Ends when the work is done; never, where there is none.
async fn finished<T>(work: &mut Option<BoxFuture<'static, T>>) -> T {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
