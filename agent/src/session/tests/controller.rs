//! A controller in the test's hands.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use foundry_link::pki::{Authority, CertificateAuthority, HostKey, HostPublicKey};
use foundry_link::tls::{self, Clock, Credentials};
use foundry_proto::agent::v1::agent_message::Body as Report;
use foundry_proto::agent::v1::controller_message::Body as Order;
use foundry_proto::agent::v1::controller_server::{Controller, ControllerServer};
use foundry_proto::agent::v1::{
    AgentMessage, ArtifactChunk, ControllerMessage, FetchArtifactRequest, ForwardChunk, Hello,
    Welcome,
};
use foundry_proto::{Digest, FleetId, HostId};
use futures_util::{Stream, stream};
use rustls::pki_types::CertificateDer;
use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use crate::session::Dialer;

/// Long enough for a slow machine; every wait is for a condition.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A fleet whose controller is the test.
pub(super) struct Fleet {
    pub(super) id: FleetId,
    pub(super) address: SocketAddr,
    pub(super) ca: CertificateAuthority,
    pub(super) calls: mpsc::Receiver<Call>,
    /// What the next call is refused with, over and over.
    pub(super) refusal: Arc<Mutex<Option<Status>>>,
    /// What is served, and after how many bytes of it the stream ends early.
    pub(super) artifacts: Arc<Mutex<HashMap<Digest, (Bytes, usize)>>>,
    serving: Option<Runtime>,
    credentials: watch::Receiver<Arc<Credentials>>,
}

/// A session's call that an agent made.
pub(super) struct Call {
    inbound: Streaming<AgentMessage>,
    outbound: mpsc::Sender<Result<ControllerMessage, Status>>,
}

#[derive(Clone)]
struct Service {
    calls: mpsc::Sender<Call>,
    refusal: Arc<Mutex<Option<Status>>>,
    artifacts: Arc<Mutex<HashMap<Digest, (Bytes, usize)>>>,
}

// === impl Fleet ===

impl Fleet {
    pub(super) fn start() -> Self {
        let (id, now) = (FleetId::generate("test"), SystemTime::now());
        let ca = CertificateAuthority::generate(Authority::Fleet, &id, now).unwrap();
        let leaf = ca.issue_controller(&id, now).unwrap();
        let trusted = vec![ca.certificate_der().clone()];
        let own = Credentials::new(leaf.chain, leaf.key, trusted, &id, now).unwrap();
        let (_, credentials) = watch::channel(Arc::new(own));
        let listener = listen(([127, 0, 0, 1], 0).into());
        let address = listener.local_addr().unwrap();
        let (service, calls) = Service::new();
        let (refusal, artifacts) = (Arc::clone(&service.refusal), Arc::clone(&service.artifacts));
        let serving = Some(serve(listener, credentials.clone(), service));
        Self {
            id,
            address,
            ca,
            calls,
            refusal,
            artifacts,
            serving,
            credentials,
        }
    }

    /// Another controller of the fleet listens at the same address.
    pub(super) fn restart(&mut self) {
        let (service, calls) = Service::new();
        (self.calls, self.refusal) = (calls, Arc::clone(&service.refusal));
        self.artifacts = Arc::clone(&service.artifacts);
        self.serving = Some(serve(
            listen(self.address),
            self.credentials.clone(),
            service,
        ));
    }

    /// The controller is gone, connections and all.
    pub(super) async fn stop(&mut self) {
        let serving = self.serving.take().expect("it serves");
        tokio::task::spawn_blocking(move || serving.shutdown_timeout(PATIENCE))
            .await
            .unwrap();
    }

    /// Credentials of a new host.
    pub(super) fn host(&self) -> Arc<Credentials> {
        self.host_trusting(Vec::new())
    }

    /// The same, with these authorities to trust as well.
    fn host_trusting(&self, mut trusted: Vec<CertificateDer<'static>>) -> Arc<Credentials> {
        let (key, now) = (HostKey::generate().unwrap(), SystemTime::now());
        let public = HostPublicKey::from_csr(&key.csr_der().unwrap()).unwrap();
        let chain = self
            .ca
            .issue_host(&public, &self.id, HostId::generate(), now)
            .unwrap();
        trusted.push(self.ca.certificate_der().clone());
        let key = key.private_key_der();
        Arc::new(Credentials::new(chain, key, trusted, &self.id, now).unwrap())
    }

    /// A dialer of a new host, and its end of the credentials.
    pub(super) fn dialer(&self) -> (Dialer, watch::Sender<Arc<Credentials>>) {
        self.dialer_trusting(Vec::new())
    }

    /// The same, with these authorities to trust as well.
    pub(super) fn dialer_trusting(
        &self,
        trusted: Vec<CertificateDer<'static>>,
    ) -> (Dialer, watch::Sender<Arc<Credentials>>) {
        let (publish, credentials) = watch::channel(self.host_trusting(trusted));
        let addresses = vec![self.address.to_string()];
        let (fleet, clock) = (self.id.clone(), Arc::new(Clock::default()));
        (
            Dialer {
                addresses,
                credentials,
                fleet,
                clock,
            },
            publish,
        )
    }

    /// The next call.
    pub(super) async fn call(&mut self) -> Call {
        let called = tokio::time::timeout(PATIENCE, self.calls.recv()).await;
        called.expect("a call in time").expect("a call")
    }

    /// The next call, welcomed, with its Hello.
    pub(super) async fn session(&mut self, welcome: Welcome) -> (Call, Hello) {
        let mut call = self.call().await;
        let Report::Hello(hello) = call.next().await else {
            panic!("no hello")
        };
        call.send(Order::Welcome(Welcome {
            protocol: 1,
            ..welcome
        }))
        .await;
        (call, hello)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.shutdown_background();
        }
    }
}

// === impl Call ===

impl Call {
    pub(super) async fn send(&self, order: Order) {
        let message = ControllerMessage { body: Some(order) };
        self.outbound
            .send(Ok(message))
            .await
            .expect("an open stream");
    }

    pub(super) async fn end(self, status: Status) {
        self.outbound
            .send(Err(status))
            .await
            .expect("an open stream");
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> Report {
        self.received().await.expect("an open stream")
    }

    /// The next message; `None`: the agent closed its half, or is gone.
    pub(super) async fn received(&mut self) -> Option<Report> {
        let received = tokio::time::timeout(PATIENCE, self.inbound.message()).await;
        received
            .expect("a message in time")
            .ok()
            .flatten()
            .and_then(|message| message.body)
    }
}

// === impl Service ===

impl Service {
    fn new() -> (Self, mpsc::Receiver<Call>) {
        let (calls, called) = mpsc::channel(8);
        (
            Self {
                calls,
                refusal: Arc::default(),
                artifacts: Arc::default(),
            },
            called,
        )
    }

    fn refused(&self) -> Result<(), Status> {
        self.refusal.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

type BoxStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Controller for Service {
    type SessionStream = ReceiverStream<Result<ControllerMessage, Status>>;
    type FetchArtifactStream = BoxStream<ArtifactChunk>;
    type ForwardStream = BoxStream<ForwardChunk>;

    async fn session(
        &self,
        request: Request<Streaming<AgentMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        self.refused()?;
        let (outbound, stream) = mpsc::channel(16);
        let call = Call {
            inbound: request.into_inner(),
            outbound,
        };
        self.calls
            .send(call)
            .await
            .map_err(|_| Status::unavailable("gone"))?;
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn fetch_artifact(
        &self,
        request: Request<FetchArtifactRequest>,
    ) -> Result<Response<Self::FetchArtifactStream>, Status> {
        self.refused()?;
        let request = request.into_inner();
        let digest = Digest::try_from(&request.digest).unwrap();
        let held = self.artifacts.lock().unwrap().get(&digest).cloned();
        let (content, end) = held.ok_or_else(|| Status::not_found("not yours"))?;
        let total_size = content.len() as u64;
        let sent = content.slice(request.offset as usize..end);
        let chunks: Vec<_> = sent
            .chunks(10_000)
            .map(|chunk| ArtifactChunk {
                data: Bytes::copy_from_slice(chunk),
                total_size,
            })
            .map(Ok)
            .collect();
        Ok(Response::new(Box::pin(stream::iter(chunks))))
    }

    async fn forward(
        &self,
        _request: Request<Streaming<ForwardChunk>>,
    ) -> Result<Response<Self::ForwardStream>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

/// Serves on a runtime of its own: when that is shut down, every connection is gone at once.
fn serve(
    listener: std::net::TcpListener,
    credentials: watch::Receiver<Arc<Credentials>>,
    service: Service,
) -> Runtime {
    let config = tls::server_config(credentials, Arc::new(Clock::default())).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.spawn(async move {
        let listener = TcpListener::from_std(listener).unwrap();
        let (incoming, connections) = mpsc::channel::<std::io::Result<DuplexStream>>(8);
        let serving = Server::builder()
            .add_service(ControllerServer::new(service))
            .serve_with_incoming(ReceiverStream::new(connections));
        tokio::spawn(serving);
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let (acceptor, incoming) = (acceptor.clone(), incoming.clone());
            tokio::spawn(async move {
                let Ok(mut tls) = acceptor.accept(tcp).await else {
                    return;
                };
                let (mut near, far) = tokio::io::duplex(64 * 1024);
                incoming.send(Ok(far)).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut tls, &mut near).await;
            });
        }
    });
    runtime
}

fn listen(address: SocketAddr) -> std::net::TcpListener {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket.listen(64).unwrap().into_std().unwrap()
}
