//! Who gets past the handshake, and what becomes of those who do not.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use foundry_link::pki::{Authority, CertificateAuthority, HostKey, HostPublicKey};
use foundry_link::tls::{self, Credentials};
use foundry_proto::agent::v1::Refusal;
use foundry_proto::{FleetId, HostId, REFUSAL_KEY};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::fleet::{Fleet, Host, PATIENCE, client_over, hello};

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The hub says nothing to this client: in TLS 1.3 a refusal shows at the first read.
async fn is_refused(host: &Host) -> std::io::Error {
    let mut stream = match host.tls().await {
        Ok(stream) => stream,
        Err(error) => return error,
    };
    let first = tokio::time::timeout(PATIENCE, stream.read_u8())
        .await
        .expect("in time");
    first.expect_err("the hub spoke to it")
}

/// Waits until so many connections were refused.
async fn refused_by_then(fleet: &Fleet, count: u64) {
    let counted = async {
        while fleet.hub.refused_connections() < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, counted)
        .await
        .expect("counted");
}

/// A certificate that another authority issued, for this fleet's names.
fn forged(fleet: &Fleet, ca: &CertificateAuthority, now: SystemTime) -> Host {
    let (id, key) = (HostId::generate(), HostKey::generate().unwrap());
    let public = HostPublicKey::from_csr(&key.csr_der().unwrap()).unwrap();
    let chain = ca.issue_host(&public, &fleet.id, id, now).unwrap();
    let trusted = vec![
        ca.certificate_der().clone(),
        fleet.ca.certificate_der().clone(),
    ];
    let credentials =
        Credentials::new(chain, key.private_key_der(), trusted, &fleet.id, now).unwrap();
    let host = fleet.dialling(id, Arc::new(credentials));
    fleet.admit(&host, 1);
    host
}

#[tokio::test]
async fn a_host_of_the_fleet_is_let_in() {
    let fleet = Fleet::start().await;
    let (_line, welcome) = fleet.host().open(hello("boot", 1)).await;
    assert_eq!((welcome.store_id.as_str(), welcome.protocol), ("store", 1));
    assert_eq!(fleet.hub.refused_connections(), 0);
}

#[tokio::test]
async fn a_client_without_a_certificate_ends_in_the_handshake() {
    let fleet = Fleet::start().await;
    let mut roots = RootCertStore::empty();
    roots.add(fleet.ca.certificate_der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(fleet.hub.local_addr()).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector
        .connect(tls::controller_name(), tcp)
        .await
        .unwrap();
    let error = stream.read_u8().await.expect_err("the hub spoke to it");
    assert!(error.to_string().contains("CertificateRequired"), "{error}");
    refused_by_then(&fleet, 1).await;
}

#[tokio::test]
async fn another_fleets_authority_is_not_trusted() {
    let fleet = Fleet::start().await;
    let now = SystemTime::now();
    let other = FleetId::generate("other");
    let other = CertificateAuthority::generate(Authority::Fleet, &other, now).unwrap();
    let error = is_refused(&forged(&fleet, &other, now)).await;
    assert!(error.to_string().contains("UnknownCA"), "{error}");
    let namesake = CertificateAuthority::generate(Authority::Fleet, &fleet.id, now).unwrap();
    is_refused(&forged(&fleet, &namesake, now)).await;
    refused_by_then(&fleet, 2).await;
}

#[tokio::test]
async fn the_services_authority_admits_nobody() {
    let fleet = Fleet::start().await;
    let now = SystemTime::now();
    let services = CertificateAuthority::generate(Authority::Services, &fleet.id, now).unwrap();
    is_refused(&forged(&fleet, &services, now)).await;
    refused_by_then(&fleet, 1).await;
}

#[tokio::test]
async fn the_fleets_authority_does_not_vouch_for_another_fleets_names() {
    let fleet = Fleet::start().await;
    let (id, key) = (HostId::generate(), HostKey::generate().unwrap());
    let other = FleetId::generate("other");
    let public = HostPublicKey::from_csr(&key.csr_der().unwrap()).unwrap();
    let now = SystemTime::now();
    let chain = fleet.ca.issue_host(&public, &other, id, now).unwrap();
    let trusted = vec![fleet.ca.certificate_der().clone()];
    let credentials = Credentials::new(chain, key.private_key_der(), trusted, &other, now).unwrap();
    is_refused(&fleet.dialling(id, Arc::new(credentials))).await;
    refused_by_then(&fleet, 1).await;
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let fleet = Fleet::start().await;
    let error = is_refused(&forged_in_the_past(&fleet)).await;
    assert!(error.to_string().contains("CertificateExpired"), "{error}");
    refused_by_then(&fleet, 1).await;
}

fn forged_in_the_past(fleet: &Fleet) -> Host {
    let then = SystemTime::now() - 2 * YEAR;
    let (id, key) = (HostId::generate(), HostKey::generate().unwrap());
    let public = HostPublicKey::from_csr(&key.csr_der().unwrap()).unwrap();
    let chain = fleet.ca.issue_host(&public, &fleet.id, id, then).unwrap();
    let trusted: Vec<CertificateDer<'static>> = vec![fleet.ca.certificate_der().clone()];
    // The authority is younger than the leaf; at the leaf's end both are good.
    let at = then + YEAR - Duration::from_secs(1);
    let old = Credentials::new(chain, key.private_key_der(), trusted, &fleet.id, at);
    let host = fleet.dialling(id, Arc::new(old.unwrap()));
    fleet.admit(&host, 1);
    host
}

#[tokio::test]
async fn the_controllers_own_certificate_is_no_hosts() {
    let fleet = Fleet::start().await;
    let leaf = fleet
        .ca
        .issue_controller(&fleet.id, SystemTime::now())
        .unwrap();
    let credentials = super::fleet::controller(&fleet.ca, &fleet.id, leaf);
    let impostor = fleet.dialling(HostId::generate(), Arc::new(credentials));
    let Err(status) = impostor.dial(hello("boot", 1)).await else {
        panic!("let in")
    };
    let reason = status.metadata().get(REFUSAL_KEY).unwrap();
    assert_eq!(reason, Refusal::NotAHost.as_str_name());
}

#[tokio::test]
async fn a_host_takes_only_the_controller_of_its_fleet() {
    let fleet = Fleet::start().await;
    // Another host's certificate is a good one of the fleet, but not the controller's.
    let impostor = fleet.host().credentials;
    fleet.credentials.send(impostor).unwrap();
    let error = fleet
        .host()
        .tls()
        .await
        .expect_err("a host serves as the controller");
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_new_certificate_of_the_controller_serves_the_next_handshake() {
    let fleet = Fleet::start().await;
    let host = fleet.host();
    let before = host.tls().await.unwrap();
    let leaf = fleet
        .ca
        .issue_controller(&fleet.id, SystemTime::now())
        .unwrap();
    let next = super::fleet::controller(&fleet.ca, &fleet.id, leaf);
    fleet.credentials.send(Arc::new(next)).unwrap();
    let after = host.tls().await.unwrap();
    let leaf = |stream: &tokio_rustls::client::TlsStream<TcpStream>| {
        stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    };
    assert_ne!(leaf(&before), leaf(&after));
}

#[tokio::test]
async fn no_session_can_be_resumed() {
    let fleet = Fleet::start().await;
    let host = fleet.host();
    for _ in 0..2 {
        let mut stream = host.tls().await.unwrap();
        stream.read_u8().await.unwrap();
        let kind = stream.get_ref().1.handshake_kind();
        assert_eq!(kind, Some(rustls::HandshakeKind::Full));
        assert_eq!(stream.get_ref().1.tls13_tickets_received(), 0);
    }
}

#[tokio::test]
async fn garbage_after_the_handshake_ends_that_connection_alone() {
    let fleet = Fleet::start().await;
    let host = fleet.host();
    let (line, _) = host.open(hello("boot", 1)).await;
    let mut stream = fleet.host().tls().await.unwrap();
    stream.write_all(&[0xff; 4096]).await.unwrap();
    let mut rest = Vec::new();
    // An error or an end: either way it is over.
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    assert!(read.is_ok(), "the connection stayed open");
    assert!(fleet.hub.session(host.id).is_some());
    drop(line);
}

#[tokio::test]
async fn garbage_instead_of_a_handshake_is_counted() {
    let fleet = Fleet::start().await;
    let mut tcp = TcpStream::connect(fleet.hub.local_addr()).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    refused_by_then(&fleet, 1).await;
}

#[tokio::test]
async fn a_silent_client_is_dropped_and_disturbs_nobody() {
    let fleet = Fleet::with(|settings| {
        settings.handshake_deadline = Duration::from_millis(200);
        settings.handshakes = 1;
    })
    .await;
    let mut silent = TcpStream::connect(fleet.hub.local_addr()).await.unwrap();
    let (_line, _) = fleet.host().open(hello("boot", 1)).await;
    assert_eq!(
        silent.read(&mut [0]).await.unwrap(),
        0,
        "closed at the deadline"
    );
    refused_by_then(&fleet, 1).await;
}

#[tokio::test]
async fn a_bridge_is_a_connection_like_any_other() {
    let fleet = Fleet::start().await;
    let (near, far) = tokio::io::duplex(16 * 1024);
    let hub = fleet.hub.clone();
    let accepted = tokio::spawn(async move { hub.accept(far).await });
    let host = fleet.host();
    let (_, credentials) = tokio::sync::watch::channel(Arc::clone(&host.credentials));
    let config = tls::client_config(credentials, &fleet.id, Arc::default()).unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(tls::controller_name(), near)
        .await
        .unwrap();
    accepted.await.unwrap();
    let mut client = client_over(stream).await;
    let (out, messages) = tokio::sync::mpsc::channel(1);
    let body = Some(foundry_proto::agent::v1::agent_message::Body::Hello(hello(
        "boot", 1,
    )));
    out.send(foundry_proto::agent::v1::AgentMessage { body })
        .await
        .unwrap();
    let _inbound = client
        .session(tokio_stream::wrappers::ReceiverStream::new(messages))
        .await
        .unwrap();
    assert_eq!(fleet.session(&host).await.info().address, None);
}

#[tokio::test]
async fn the_operators_api_is_not_served_to_agents() {
    use foundry_proto::operator::v1::operator_client::OperatorClient;
    let fleet = Fleet::start().await;
    let stream = fleet.host().tls().await.unwrap();
    let mut stream = Some(stream);
    let connector = tower::service_fn(move |_| {
        let stream = stream.take().map(hyper_util::rt::TokioIo::new);
        async move { stream.ok_or_else(|| std::io::Error::other("closed")) }
    });
    let endpoint = tonic::transport::Endpoint::from_static("http://controller.foundry.internal");
    let channel = endpoint.connect_with_connector(connector).await.unwrap();
    let status = OperatorClient::new(channel)
        .status(tonic::Request::new(Default::default()))
        .await;
    assert_eq!(status.unwrap_err().code(), tonic::Code::Unimplemented);
}
