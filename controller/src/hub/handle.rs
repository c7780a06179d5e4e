//! A live session, as the rest of the controller sees it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use foundry_link::session::Verdict;
use foundry_proto::agent::v1::controller_message::Body;
use foundry_proto::agent::v1::{
    Assign, CancelAssignment, CancelJob, Heartbeat, Hello, Observe, ObserveItem, ObserveReply,
    StartJob, Subsystem, Welcome,
};
use foundry_proto::{Digest, HostId};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::SessionError;
use super::event::Disconnect;

/// A live session. It may end at any time; then every call says so. Clones are the same session.
#[derive(Clone)]
pub struct SessionHandle {
    shared: Arc<Shared>,
}

/// What is known of a live session.
#[derive(Debug, Clone)]
pub struct SessionInfo {
    /// The host.
    pub host: HostId,
    /// What it said of itself when the session opened.
    pub hello: Arc<Hello>,
    /// SHA-256 of the key that it came with.
    pub key: Digest,
    /// From where; `None`: over a bridge.
    pub address: Option<SocketAddr>,
    /// How long the session has been open.
    pub age: Duration,
    /// How long ago it was last heard.
    pub seen: Duration,
    /// How far its parts have come, as of its last heartbeat.
    pub subsystems: Vec<Subsystem>,
    /// Resident memory of the agent in bytes; 0: not known.
    pub memory_bytes: u64,
}

/// What a session's task and its handles share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) host: HostId,
    pub(super) hello: Arc<Hello>,
    pub(super) key: Digest,
    pub(super) address: Option<SocketAddr>,
    opened: Instant,
    seen_ms: AtomicU64,
    heartbeat: Mutex<Heartbeat>,
    commands: mpsc::Sender<Box<Command>>,
    recorded: watch::Sender<u64>,
    ending: CancellationToken,
    reason: OnceLock<Disconnect>,
    ended: CancellationToken,
}

/// What handles ask of a session's task.
pub(super) enum Command {
    Send(Body),
    Assign(Assign, oneshot::Sender<Verdict>),
    Observe(Observe, oneshot::Sender<ObserveReply>),
    /// Answered when the host answers a ping.
    Probe(oneshot::Sender<()>),
}

/// The task's ends of what is shared.
pub(super) struct TaskEnds {
    pub(super) commands: mpsc::Receiver<Box<Command>>,
    pub(super) recorded: watch::Receiver<u64>,
}

/// Requests to one host that may wait.
const COMMANDS: usize = 64;

// === impl SessionHandle ===

impl SessionHandle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The host.
    pub fn host(&self) -> HostId {
        self.shared.host
    }

    /// What it said of itself when the session opened.
    pub fn hello(&self) -> Arc<Hello> {
        Arc::clone(&self.shared.hello)
    }

    /// How long ago it was last heard.
    pub fn seen(&self) -> Duration {
        self.shared.seen()
    }

    /// All of that at once.
    pub fn info(&self) -> SessionInfo {
        self.shared.info()
    }

    /// What would change on the host. With `facts` its facts are read anew.
    pub async fn observe(
        &self,
        items: Vec<ObserveItem>,
        facts: bool,
        timeout: Duration,
    ) -> Result<ObserveReply, SessionError> {
        let (reply, answered) = oneshot::channel();
        let observe = Observe {
            id: 0,
            items,
            facts,
        };
        self.within(timeout, async {
            self.command(Command::Observe(observe, reply)).await?;
            answered
                .await
                .map_err(|_| SessionError::Disconnected(self.host()))
        })
        .await
    }

    /// Sends an assignment, unless the host holds exactly it. Whether it was accepted comes as an event.
    pub async fn assign(&self, assign: Assign) -> Result<(), SessionError> {
        let (reply, judged) = oneshot::channel();
        let (name, revision) = (assign.name.clone(), assign.revision);
        self.command(Command::Assign(assign, reply)).await?;
        let verdict = judged
            .await
            .map_err(|_| SessionError::Disconnected(self.host()))?;
        let Some(reason) = verdict.refusal() else {
            return Ok(());
        };
        let held = if let Verdict::Lower { held } = verdict {
            held
        } else {
            revision
        };
        Err(SessionError::Refused {
            host: self.host(),
            name,
            held,
            reason,
        })
    }

    /// Ends the attempts at this revision.
    pub async fn cancel(&self, name: &str, revision: u64) -> Result<(), SessionError> {
        let cancel = CancelAssignment {
            name: name.to_owned(),
            revision,
        };
        self.command(Command::Send(Body::CancelAssignment(cancel)))
            .await
    }

    /// Starts a job; its outcome comes as an event.
    pub async fn start_job(&self, job: StartJob) -> Result<(), SessionError> {
        self.command(Command::Send(Body::StartJob(job))).await
    }

    /// Ends a job.
    pub async fn cancel_job(&self, id: &str) -> Result<(), SessionError> {
        let cancel = CancelJob { id: id.to_owned() };
        self.command(Command::Send(Body::CancelJob(cancel))).await
    }

    /// Tells the host other addresses, authorities or a reconnect policy to keep.
    pub async fn settings(&self, welcome: Welcome) -> Result<(), SessionError> {
        self.command(Command::Send(Body::Settings(welcome))).await
    }

    /// Ends when the session has ended.
    pub async fn closed(&self) {
        self.shared.ended.cancelled().await;
    }

    async fn command(&self, command: Command) -> Result<(), SessionError> {
        match self.shared.commands.try_send(Box::new(command)) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => {
                Err(SessionError::Disconnected(self.host()))
            }
            Err(mpsc::error::TrySendError::Full(_)) => Err(SessionError::Busy(self.host())),
        }
    }

    async fn within<T>(
        &self,
        timeout: Duration,
        work: impl Future<Output = Result<T, SessionError>>,
    ) -> Result<T, SessionError> {
        let late = SessionError::Timeout {
            host: self.host(),
            within: timeout,
        };
        tokio::time::timeout(timeout, work)
            .await
            .unwrap_or(Err(late))
    }
}

// === impl Shared ===

impl Shared {
    pub(super) fn new(
        host: HostId,
        hello: Arc<Hello>,
        key: Digest,
        address: Option<SocketAddr>,
        recorded: u64,
    ) -> (Arc<Self>, TaskEnds) {
        let (commands, commanded) = mpsc::channel(COMMANDS);
        let (recorded, recorded_ends) = watch::channel(recorded);
        let shared = Self {
            host,
            hello,
            key,
            address,
            opened: Instant::now(),
            seen_ms: AtomicU64::new(0),
            heartbeat: Mutex::default(),
            commands,
            recorded,
            ending: CancellationToken::new(),
            reason: OnceLock::new(),
            ended: CancellationToken::new(),
        };
        (
            Arc::new(shared),
            TaskEnds {
                commands: commanded,
                recorded: recorded_ends,
            },
        )
    }

    /// Something was heard.
    pub(super) fn heard(&self) {
        let ms = self.opened.elapsed().as_millis();
        self.seen_ms
            .store(u64::try_from(ms).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn heartbeat(&self, heartbeat: Heartbeat) {
        *self
            .heartbeat
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = heartbeat;
    }

    /// Events up to and including this number are stored.
    pub(super) fn recorded(&self, through: u64) {
        self.recorded.send_if_modified(|recorded| {
            let news = through > *recorded;
            *recorded = through.max(*recorded);
            news
        });
    }

    /// Asks the session to end for this reason; the first reason stands.
    pub(super) fn end(&self, reason: Disconnect) {
        let _ = self.reason.set(reason);
        self.ending.cancel();
    }

    /// Ends when somebody asked the session to end.
    pub(super) async fn ending(&self) -> Disconnect {
        self.ending.cancelled().await;
        self.reason.get().cloned().unwrap_or(Disconnect::Closed)
    }

    /// The session has ended.
    pub(super) fn set_ended(&self) {
        self.ended.cancel();
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// Ends when the session has ended.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Asks for a sign of life; ends when there is one.
    pub(super) async fn probe(&self) -> bool {
        let (reply, answered) = oneshot::channel();
        let sent = self.commands.send(Box::new(Command::Probe(reply))).await;
        sent.is_ok() && answered.await.is_ok()
    }

    fn seen(&self) -> Duration {
        let heard = Duration::from_millis(self.seen_ms.load(Ordering::Relaxed));
        self.opened.elapsed().saturating_sub(heard)
    }

    pub(super) fn info(&self) -> SessionInfo {
        let heartbeat = self
            .heartbeat
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        SessionInfo {
            host: self.host,
            hello: Arc::clone(&self.hello),
            key: self.key,
            address: self.address,
            age: self.opened.elapsed(),
            seen: self.seen(),
            subsystems: heartbeat.subsystems,
            memory_bytes: heartbeat.memory_bytes,
        }
    }
}
