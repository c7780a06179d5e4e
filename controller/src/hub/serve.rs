//! The hub itself: starts the tasks, and is what the rest of the controller holds.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use foundry_link::tls::{self, Clock, Credentials};
use foundry_proto::HostId;
use foundry_proto::agent::v1::controller_server::ControllerServer;
use foundry_proto::agent::v1::{ReconnectPolicy, Refusal, Welcome};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, broadcast, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;

use super::admission::Admission;
use super::backend::Backend;
use super::connection::Connection;
use super::door::Door;
use super::error::{HubError, chain};
use super::event::{Disconnect, HubEvent};
use super::gate::{Counts, Gate};
use super::handle::{SessionHandle, SessionInfo};
use super::log_limit::LogLimit;
use super::recorder::Recorder;
use super::registry::Registry;
use super::service::{Inner, Service};
use super::{artifact, listen};

/// Events that a slow subscriber may be behind before it misses some.
const EVENTS: usize = 8192;

/// The largest message that an agent may send, in bytes.
pub(super) const MOST_MESSAGE: usize = 1024 * 1024;

/// Streams of one connection: its session, artifacts, forwards.
const STREAMS: u32 = 16;

/// HTTP/2 windows of what agents send, in bytes: their messages are small, and there are thousands of them.
const STREAM_WINDOW: u32 = 64 * 1024 - 1;
const CONNECTION_WINDOW: u32 = 128 * 1024;

/// Metadata of one call, in bytes.
const MOST_HEADERS: u32 = 8 * 1024;

/// For connections to close once their streams have ended.
const GRACE: Duration = Duration::from_secs(2);

/// After the kernel could not hand over a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How the hub listens and how it treats sessions.
#[derive(Debug, Clone)]
pub struct Settings {
    /// host:port; `[::]:7443` takes IPv4 too. Port 0: any free one.
    pub listen: String,
    /// A session is dead when nothing was heard for this long.
    pub ttl: Duration,
    /// How agents come back.
    pub reconnect: ReconnectPolicy,
    /// How long a TLS handshake may take.
    pub handshake_deadline: Duration,
    /// How many connections may be without an authenticated peer.
    pub half_open: usize,
    /// How many handshakes are computed at a time.
    pub handshakes: usize,
}

/// The agents' listener and their sessions. Clones are the same hub; it ends with its `stop`.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
    door: Arc<Door>,
    address: SocketAddr,
    stopped: CancellationToken,
}

// === impl Settings ===

impl Settings {
    /// The defaults for this listen address.
    pub fn new(listen: impl Into<String>) -> Self {
        Self {
            listen: listen.into(),
            ttl: Duration::from_secs(15),
            reconnect: foundry_link::backoff::Policy::default().into(),
            handshake_deadline: Duration::from_secs(5),
            half_open: 1024,
            handshakes: 16,
        }
    }

    /// Fills in what the backend left to the hub.
    pub(super) fn fill(&self, welcome: &mut Welcome) {
        if welcome.session_ttl_ms == 0 {
            welcome.session_ttl_ms = self.ttl.as_millis().try_into().unwrap_or(u64::MAX);
        }
        welcome.reconnect.get_or_insert(self.reconnect);
    }
}

// === impl Hub ===

impl Hub {
    /// Listens and serves until `stop`. Must be called within a tokio runtime.
    pub async fn start(
        settings: Settings,
        credentials: watch::Receiver<Arc<Credentials>>,
        clock: Arc<Clock>,
        admission: Admission,
        backend: Arc<dyn Backend>,
        stop: CancellationToken,
    ) -> Result<Self, HubError> {
        let tls = tls::server_config(credentials, Arc::clone(&clock)).map_err(HubError::Tls)?;
        let listener = listen::bind(&settings.listen)?;
        let listened = |source| HubError::Listen {
            listen: settings.listen.clone(),
            source,
        };
        let address = listener.local_addr().map_err(listened)?;
        let (events, _) = broadcast::channel(EVENTS);
        let (recorder, entries) = Recorder::new(Arc::clone(&backend), events.clone());
        let (incoming, connections) = mpsc::channel(64);
        let deadline = settings.handshake_deadline;
        let door = Arc::new(Door::new(tls, deadline, settings.handshakes, incoming));
        let gate = Gate::new(settings.half_open);
        let inner = Arc::new(Inner {
            settings,
            admission,
            clock,
            backend,
            registry: Registry::default(),
            recorder: entries,
            events,
            tasks: TaskTracker::new(),
            stop: stop.clone(),
            fetches: Arc::new(Semaphore::new(artifact::ALTOGETHER)),
            fetching: Counts::default(),
            refusals: LogLimit::default(),
        });
        let hub = Self {
            inner,
            door,
            address,
            stopped: CancellationToken::new(),
        };
        tokio::spawn(
            hub.clone()
                .run(listener, gate, ReceiverStream::new(connections), recorder),
        );
        tracing::info!(%address, "listening for agents");
        Ok(hub)
    }

    /// A connection that came over a bridge: the same handshake, the same checks. Returns when it is let in or refused;
    /// the connection lives on.
    pub async fn accept(&self, io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        self.door.bridged(Box::new(io)).await;
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// All live sessions.
    pub fn sessions(&self) -> Vec<SessionInfo> {
        self.inner
            .registry
            .all()
            .iter()
            .map(|session| session.info())
            .collect()
    }

    /// The host's live session.
    pub fn session(&self, host: HostId) -> Option<SessionHandle> {
        self.inner.registry.get(host).map(SessionHandle::new)
    }

    /// The host's session, waiting for it if it has none yet. `None`: not within `timeout`.
    pub async fn await_session(&self, host: HostId, timeout: Duration) -> Option<SessionHandle> {
        let session = tokio::time::timeout(timeout, self.inner.registry.wait(host)).await;
        session.ok().map(SessionHandle::new)
    }

    /// Ends the host's live session with this reason. Take it off [`Admission`] first, or it comes back.
    pub fn cut(&self, host: HostId, reason: Refusal) {
        self.inner.registry.forget_twins(host);
        if let Some(session) = self.inner.registry.get(host) {
            session.end(Disconnect::Cut(reason));
        }
    }

    /// What happens from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<HubEvent> {
        self.inner.events.subscribe()
    }

    /// How many connections ended before they had an authenticated peer.
    pub fn refused_connections(&self) -> u64 {
        self.door.failures()
    }

    /// Ends once everything has wound up after `stop`.
    pub async fn stopped(&self) {
        self.stopped.cancelled().await;
    }

    /// Serves until `stop`, then winds up: sessions end, their events are stored, connections close.
    async fn run(
        self,
        listener: TcpListener,
        gate: Gate,
        connections: ReceiverStream<io::Result<Connection>>,
        recorder: Recorder,
    ) {
        let stop = &self.inner.stop;
        let record = CancellationToken::new();
        let recording = tokio::spawn(recorder.run(record.clone()));
        let service = ControllerServer::new(Service(Arc::clone(&self.inner)))
            .max_decoding_message_size(MOST_MESSAGE);
        let serving = tokio::spawn(
            Server::builder()
                .max_concurrent_streams(STREAMS)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .http2_max_header_list_size(MOST_HEADERS)
                .add_service(service)
                .serve_with_incoming_shutdown(connections, stop.clone().cancelled_owned()),
        );
        self.listen(listener, gate).await;
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        record.cancel();
        if let Err(error) = recording.await {
            tracing::error!(%error, "the recorder of events failed");
        }
        let abort = serving.abort_handle();
        match tokio::time::timeout(GRACE, serving).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(cause = %chain(&error), "serving agents failed"),
            Ok(Err(error)) => tracing::error!(%error, "serving agents failed"),
            Err(_) => abort.abort(),
        }
        self.door.close();
        self.stopped.cancel();
    }

    /// Accepts until `stop`.
    async fn listen(&self, listener: TcpListener, gate: Gate) {
        loop {
            let accepted = tokio::select! {
                () = self.inner.stop.cancelled() => return,
                accepted = async { gate.room().await; listener.accept().await } => accepted,
            };
            match accepted {
                Ok((socket, from)) => match gate.enter(from.ip()) {
                    Some(ticket) => {
                        let door = Arc::clone(&self.door);
                        let stop = self.inner.stop.clone();
                        self.inner.tasks.spawn(async move {
                            stop.run_until_cancelled(door.tcp(socket, from)).await;
                            drop(ticket);
                        });
                    }
                    None => self.door.crowded(from),
                },
                Err(error) => {
                    // Out of file descriptors, mostly: connections that end give some back.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}
