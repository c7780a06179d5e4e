//! A fleet with its hub, and hosts that dial it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use camino::Utf8PathBuf;
use foundry_link::pki::{Authority, CertificateAuthority, ControllerLeaf, HostKey, HostPublicKey};
use foundry_link::tls::{self, Clock, Credentials};
use foundry_proto::agent::v1::agent_message::Body;
use foundry_proto::agent::v1::controller_client::ControllerClient;
use foundry_proto::agent::v1::controller_message::Body as Order;
use foundry_proto::agent::v1::{
    AgentMessage, Assign, ControllerMessage, Event, Hello, IssuedCertificate, Outcome, Welcome,
    event,
};
use foundry_proto::{Digest, FleetId, HostId};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

use crate::hub::{Admission, Admitted, Backend, BackendError, HostEvent, Hub, Settings};

/// Long enough for a slow machine; every wait is for a condition.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A fleet with a running hub.
pub(super) struct Fleet {
    pub(super) id: FleetId,
    pub(super) ca: CertificateAuthority,
    pub(super) admission: Admission,
    pub(super) backend: Arc<Store>,
    pub(super) hub: Hub,
    pub(super) credentials: watch::Sender<Arc<Credentials>>,
    pub(super) stop: CancellationToken,
}

/// What the hub's backend keeps, in memory.
#[derive(Default)]
pub(super) struct Store {
    pub(super) desired: Mutex<HashMap<HostId, Vec<Assign>>>,
    pub(super) events: Mutex<Vec<HostEvent>>,
    pub(super) artifacts: Mutex<HashMap<(HostId, Digest), Utf8PathBuf>>,
    /// Events cannot be stored while this is set.
    pub(super) full: Mutex<bool>,
    /// Nor can this host's ever.
    pub(super) cursed: Mutex<Option<HostId>>,
}

/// An enrolled host, as it dials.
#[derive(Clone)]
pub(super) struct Host {
    pub(super) id: HostId,
    pub(super) address: std::net::SocketAddr,
    pub(super) fleet: FleetId,
    pub(super) credentials: Arc<Credentials>,
}

/// A session's stream of a host.
pub(super) struct Line {
    pub(super) out: mpsc::Sender<AgentMessage>,
    pub(super) inbound: Streaming<ControllerMessage>,
}

// === impl Fleet ===

impl Fleet {
    pub(super) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(super) async fn with(adjust: impl FnOnce(&mut Settings)) -> Self {
        let now = SystemTime::now();
        let id = FleetId::generate("test");
        let ca = CertificateAuthority::generate(Authority::Fleet, &id, now).unwrap();
        let leaf = ca.issue_controller(&id, now).unwrap();
        let (credentials, current) = watch::channel(Arc::new(controller(&ca, &id, leaf)));
        let admission = Admission::new(id.clone());
        let backend = Arc::new(Store::default());
        let stop = CancellationToken::new();
        let mut settings = Settings::new("127.0.0.1:0");
        adjust(&mut settings);
        let hub = Hub::start(
            settings,
            current,
            Arc::new(Clock::default()),
            admission.clone(),
            Arc::clone(&backend) as Arc<dyn Backend>,
            stop.clone(),
        )
        .await
        .unwrap();
        Self {
            id,
            ca,
            admission,
            backend,
            hub,
            credentials,
            stop,
        }
    }

    /// A new host, let in.
    pub(super) fn host(&self) -> Host {
        let host = self.stranger();
        self.admit(&host, 1);
        host
    }

    /// A new host with a certificate of the fleet, not let in.
    pub(super) fn stranger(&self) -> Host {
        self.certified(HostId::generate(), &HostKey::generate().unwrap())
    }

    /// This host with this key and a new certificate.
    pub(super) fn certified(&self, id: HostId, key: &HostKey) -> Host {
        self.certified_at(id, key, SystemTime::now())
    }

    /// This host with this key and a certificate made then.
    pub(super) fn certified_at(&self, id: HostId, key: &HostKey, then: SystemTime) -> Host {
        let public = HostPublicKey::from_csr(&key.csr_der().unwrap()).unwrap();
        let chain = self.ca.issue_host(&public, &self.id, id, then).unwrap();
        let trusted = vec![self.ca.certificate_der().clone()];
        let credentials = credentials(chain, key.private_key_der(), trusted, &self.id);
        self.dialling(id, Arc::new(credentials))
    }

    /// A host with any credentials, dialling this hub.
    pub(super) fn dialling(&self, id: HostId, credentials: Arc<Credentials>) -> Host {
        Host {
            id,
            address: self.hub.local_addr(),
            fleet: self.id.clone(),
            credentials,
        }
    }

    pub(super) fn admit(&self, host: &Host, epoch: u64) {
        let keys = vec![host.credentials.peer().key];
        self.admission.insert(
            host.id,
            Admitted {
                epoch,
                keys,
                old_keys: Vec::new(),
            },
        );
    }

    pub(super) fn wants(&self, host: &Host, assign: Assign) {
        self.backend
            .desired
            .lock()
            .unwrap()
            .entry(host.id)
            .or_default()
            .push(assign);
    }

    /// Waits for the host's session.
    pub(super) async fn session(&self, host: &Host) -> crate::hub::SessionHandle {
        self.hub
            .await_session(host.id, PATIENCE)
            .await
            .expect("a session")
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

// === impl Host ===

impl Host {
    /// A TLS connection, with no HTTP on it.
    pub(super) async fn tls(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let (_, credentials) = watch::channel(Arc::clone(&self.credentials));
        let clock = Arc::new(Clock::default());
        let config = tls::client_config(credentials, &self.fleet, clock).unwrap();
        let tcp = TcpStream::connect(self.address).await?;
        TlsConnector::from(Arc::new(config))
            .connect(tls::controller_name(), tcp)
            .await
    }

    pub(super) async fn client(&self) -> ControllerClient<Channel> {
        client_over(self.tls().await.expect("handshake")).await
    }

    /// A session's stream, after this Hello.
    pub(super) async fn dial(&self, hello: Hello) -> Result<Line, Status> {
        dial_over(&mut self.client().await, hello).await
    }

    /// An open session, with its welcome.
    pub(super) async fn open(&self, hello: Hello) -> (Line, Welcome) {
        let mut line = self.dial(hello).await.expect("a stream");
        let Order::Welcome(welcome) = line.next().await else {
            panic!("no welcome")
        };
        (line, welcome)
    }
}

/// A session's stream over this connection.
pub(super) async fn dial_over(
    client: &mut ControllerClient<Channel>,
    hello: Hello,
) -> Result<Line, Status> {
    let (out, messages) = mpsc::channel(16);
    out.send(AgentMessage {
        body: Some(Body::Hello(hello)),
    })
    .await
    .unwrap();
    let inbound = client
        .session(ReceiverStream::new(messages))
        .await?
        .into_inner();
    Ok(Line { out, inbound })
}

// === impl Line ===

impl Line {
    pub(super) async fn send(&self, body: Body) {
        self.out
            .send(AgentMessage { body: Some(body) })
            .await
            .expect("an open stream");
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> Order {
        self.received()
            .await
            .expect("a message")
            .expect("an open stream")
    }

    /// The next message, `None` at the end, or why the stream broke.
    pub(super) async fn received(&mut self) -> Result<Option<Order>, Status> {
        let received = tokio::time::timeout(PATIENCE, self.inbound.message()).await;
        Ok(received.expect("in time")?.and_then(|message| message.body))
    }

    /// How the stream ends.
    pub(super) async fn end(&mut self) -> Result<(), Status> {
        while self.received().await?.is_some() {}
        Ok(())
    }
}

// === impl Store ===

#[async_trait::async_trait]
impl Backend for Store {
    async fn desired(&self, host: HostId) -> Result<Vec<Assign>, BackendError> {
        Ok(self
            .desired
            .lock()
            .unwrap()
            .get(&host)
            .cloned()
            .unwrap_or_default())
    }

    async fn recorded(&self, host: HostId, ledger: &str) -> Result<u64, BackendError> {
        let events = self.events.lock().unwrap();
        let own = events
            .iter()
            .filter(|event| event.host == host && event.ledger == ledger);
        Ok(own
            .map(|event| event.event.number)
            .max()
            .unwrap_or_default())
    }

    async fn record(&self, batch: &[HostEvent]) -> Result<(), BackendError> {
        if *self.full.lock().unwrap() {
            return Err(BackendError::message("the disk is full"));
        }
        let cursed = *self.cursed.lock().unwrap();
        if batch.iter().any(|event| Some(event.host) == cursed) {
            return Err(BackendError::message("a row that cannot be"));
        }
        self.events.lock().unwrap().extend_from_slice(batch);
        Ok(())
    }

    async fn artifact(
        &self,
        host: HostId,
        digest: Digest,
    ) -> Result<Option<Utf8PathBuf>, BackendError> {
        Ok(self.artifacts.lock().unwrap().get(&(host, digest)).cloned())
    }

    fn welcome(&self, _host: HostId) -> Welcome {
        Welcome {
            store_id: "store".to_owned(),
            ..Default::default()
        }
    }

    async fn renew(&self, _host: HostId, _csr: &[u8]) -> Result<IssuedCertificate, BackendError> {
        Ok(IssuedCertificate {
            chain: vec!["leaf".into()],
            trusted_cas: vec!["ca".into()],
        })
    }

    async fn connected(&self, _host: HostId, _key: Digest, _hello: &Hello) {}
}

/// A Hello of this start on this boot.
pub(super) fn hello(boot: &str, start: u64) -> Hello {
    Hello {
        protocol_min: 1,
        protocol_max: 1,
        boot_id: boot.to_owned(),
        start_id: start,
        ledger_id: "ledger".to_owned(),
        ..Default::default()
    }
}

/// An assignment with content of its own.
pub(super) fn assign(name: &str, revision: u64) -> Assign {
    let content = format!("{name} {revision}");
    let digest = Digest::of(content.as_bytes()).to_bytes();
    Assign {
        name: name.to_owned(),
        revision,
        digest,
        content: content.into(),
        ..Default::default()
    }
}

/// An outcome with this number.
pub(super) fn outcome(number: u64) -> Event {
    Event {
        number,
        body: Some(event::Body::Outcome(Outcome::default())),
        ..Default::default()
    }
}

pub(super) fn credentials(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    trusted: Vec<CertificateDer<'static>>,
    fleet: &FleetId,
) -> Credentials {
    Credentials::new(chain, key, trusted, fleet, SystemTime::now()).unwrap()
}

pub(super) fn controller(
    ca: &CertificateAuthority,
    fleet: &FleetId,
    leaf: ControllerLeaf,
) -> Credentials {
    credentials(
        leaf.chain,
        leaf.key,
        vec![ca.certificate_der().clone()],
        fleet,
    )
}

/// A client over a connection that stands.
pub(super) async fn client_over<T>(stream: T) -> ControllerClient<Channel>
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let mut stream = Some(stream);
    let connector = tower::service_fn(move |_| {
        let stream = stream.take().map(TokioIo::new);
        async move { stream.ok_or_else(|| std::io::Error::other("closed")) }
    });
    let endpoint = Endpoint::from_static("http://controller.foundry.internal");
    ControllerClient::new(
        endpoint
            .connect_with_connector(connector)
            .await
            .expect("http/2"),
    )
}
