use std::sync::Arc;
use std::time::{Duration, SystemTime};

use camino::Utf8PathBuf;
use foundry_host::Host;
use foundry_host::clock::KernelClock;
use foundry_host::fakes::{Behaviour, FakeHost};
use foundry_link::pki::{Authority, CertificateAuthority, HostPublicKey};
use foundry_link::tls::{Clock, Credentials, server_config};
use foundry_proto::agent::v1::{
    EnrolGrant, EnrolMessage, EnrolOffer, EnrolResult, enrol_message::Body, enrol_result::Kind,
};
use foundry_proto::layout::AGENT_UNIT;
use foundry_proto::{FleetId, HostId, framing};
use fs_err as fs;
use tokio::io::{AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::{EnrolError, Enroller, hear};
use crate::config::{Identity, Places, Settings};

/// A fleet with something that listens as its controller does.
struct Fleet {
    id: FleetId,
    authority: CertificateAuthority,
    address: String,
    listener: JoinHandle<()>,
}

impl Fleet {
    async fn new(name: &str) -> Self {
        let (id, now) = (FleetId::generate(name), SystemTime::now());
        let authority = CertificateAuthority::generate(Authority::Fleet, &id, now).unwrap();
        let leaf = authority.issue_controller(&id, now).unwrap();
        let trusted = vec![authority.certificate_der().clone()];
        let credentials = Credentials::new(leaf.chain, leaf.key, trusted, &id, now).unwrap();
        let (publish, credentials) = watch::channel(Arc::new(credentials));
        let config = server_config(credentials, Arc::new(Clock::default())).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let listener = tokio::spawn(async move {
            let _publish = publish;
            let acceptor = TlsAcceptor::from(Arc::new(config));
            while let Ok((tcp, _)) = listener.accept().await {
                if let Ok(mut tls) = acceptor.accept(tcp).await {
                    let _ = tls.write_all(b"settings").await;
                    let _ = tls.shutdown().await;
                }
            }
        });
        Self {
            id,
            authority,
            address,
            listener,
        }
    }

    fn grant(&self, offer: &EnrolOffer, now: SystemTime) -> EnrolGrant {
        let (host, key) = (
            HostId::generate(),
            HostPublicKey::from_csr(&offer.csr).unwrap(),
        );
        let chain = self
            .authority
            .issue_host(&key, &self.id, host, now)
            .unwrap();
        EnrolGrant {
            fleet: self.id.to_string(),
            host_id: host.to_string(),
            hostname: "node1".to_owned(),
            chain: chain.iter().map(|der| der.to_vec().into()).collect(),
            trusted_cas: vec![self.authority.certificate_der().to_vec().into()],
            addresses: vec![self.address.clone()],
            hmac_key: vec![7; 32].into(),
            epoch: 1,
        }
    }
}

struct Bed {
    _owner: tempfile::TempDir,
    places: Places,
    host: FakeHost,
}

impl Bed {
    fn new() -> Self {
        let owner = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(owner.path().to_owned()).unwrap();
        let places = Places::below(&root);
        fs::create_dir_all(places.agents().join("abc/bin")).unwrap();
        fs::create_dir_all(places.agents().join("old/bin")).unwrap();
        let host = FakeHost::new();
        host.systemd.install(AGENT_UNIT);
        Self {
            _owner: owner,
            places,
            host,
        }
    }

    /// The dialogue, with this answer to the offer.
    async fn enrol(&self, answer: impl FnOnce(&EnrolOffer) -> EnrolGrant) -> EnrolResult {
        let (mut ours, task) = self.begin();
        let Body::Offer(offer) = hear(&mut ours).await.unwrap() else {
            panic!("no offer")
        };
        let grant = EnrolMessage {
            body: Some(Body::Grant(answer(&offer))),
        };
        ours.write_all(&framing::encode(&grant)).await.unwrap();
        let Body::Result(result) = hear(&mut ours).await.unwrap() else {
            panic!("no result")
        };
        task.await.unwrap().unwrap();
        result
    }

    fn begin(&self) -> (DuplexStream, JoinHandle<Result<(), EnrolError>>) {
        let enroller = Enroller {
            places: self.places.clone(),
            host: Arc::new(Host {
                clock: Arc::new(KernelClock),
                ..self.host.host()
            }),
            program: self.places.agents().join("abc/bin/foundry-agent"),
        };
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (input, output) = tokio::io::split(theirs);
        (
            ours,
            tokio::spawn(async move { enroller.converse(input, output).await }),
        )
    }

    fn is_untouched(&self) -> bool {
        let Places {
            config,
            state,
            units,
            ..
        } = &self.places;
        let current = self.places.agents().join("current");
        [config, state, units, &current]
            .iter()
            .all(|path| !path.exists())
    }
}

fn now() -> SystemTime {
    SystemTime::now()
}

#[tokio::test]
async fn an_enrolment_leaves_an_agent_that_can_start() {
    let (bed, fleet) = (Bed::new(), Fleet::new("one").await);
    let result = bed.enrol(|offer| fleet.grant(offer, now())).await;
    assert_eq!(
        (result.kind(), result.message.as_str()),
        (Kind::Enrolled, "")
    );
    assert_eq!(result.address, fleet.address);

    let settings = Settings::read(bed.places.settings()).unwrap();
    assert_eq!(
        (settings.fleet.clone(), settings.epoch),
        (fleet.id.clone(), 1)
    );
    assert!(Identity::read(&bed.places.identity()).is_ok());
    let line = fs::read_to_string(bed.places.enrolment()).unwrap();
    assert_eq!(line, format!("{} {} 1 node1\n", fleet.id, settings.host_id));
    let unit = fs::read_to_string(bed.places.unit()).unwrap();
    assert!(unit.contains("ExecStart=/opt/foundry/agents/current/bin/foundry-agent run"));
    assert_eq!(
        bed.places
            .agents()
            .join("current")
            .read_link_utf8()
            .unwrap(),
        "abc"
    );
    assert!(!bed.places.agents().join("old").exists());
    let told = bed.host.systemd.calls();
    let unit = "foundry-agent.service";
    assert_eq!(
        told,
        [
            "reload".to_owned(),
            format!("enable {unit}"),
            format!("restart {unit}")
        ]
    );

    // Again: the offer says what the host is, and the time of the first enrolment stays only with the same host id.
    let (mut ours, _task) = bed.begin();
    let Body::Offer(offer) = hear(&mut ours).await.unwrap() else {
        panic!("no offer")
    };
    let current = offer.current.unwrap();
    assert_eq!(
        (current.fleet, current.since_ms),
        (fleet.id.to_string(), settings.since_ms)
    );
}

#[tokio::test]
async fn nothing_is_written_where_no_address_answers() {
    let (bed, fleet) = (Bed::new(), Fleet::new("one").await);
    let other = Fleet::new("two").await;
    fleet.listener.abort();
    let _ = fleet.listener.await;
    let fleet = Fleet {
        listener: tokio::spawn(async {}),
        ..fleet
    };
    let addresses = vec![fleet.address.clone(), other.address.clone()];
    let result = bed
        .enrol(|offer| EnrolGrant {
            addresses: addresses.clone(),
            ..fleet.grant(offer, now())
        })
        .await;
    assert_eq!(result.kind(), Kind::Unreachable);
    let causes: Vec<_> = result.message.lines().collect();
    assert!(
        causes
            .iter()
            .zip(&addresses)
            .all(|(cause, address)| cause.starts_with(address))
    );
    assert!(
        causes[0].contains("refused") && causes[1].contains("TLS handshake"),
        "{causes:?}"
    );
    assert!(bed.is_untouched());
}

#[tokio::test]
async fn a_clock_that_is_off_is_named_with_how_far() {
    let (bed, fleet) = (Bed::new(), Fleet::new("one").await);
    let (later, earlier) = (
        now() + Duration::from_secs(14 * 3600 + 60),
        Duration::from_secs(20 * 3600),
    );
    let result = bed.enrol(|offer| fleet.grant(offer, later)).await;
    assert_eq!(result.kind(), Kind::Clock);
    assert_eq!(
        result.message,
        "the clock of this host is 14 h behind the controller's"
    );
    let result = bed.enrol(|offer| fleet.grant(offer, now() - earlier)).await;
    assert_eq!(
        result.message,
        "the clock of this host is 20 h ahead of the controller's"
    );
    assert!(bed.is_untouched());
}

#[tokio::test]
async fn an_agent_that_does_not_start_is_taken_back() {
    let bed = Bed::new();
    bed.host.systemd.behave(AGENT_UNIT, Behaviour::CannotStart);
    bed.host.systemd.write_journal(AGENT_UNIT, "no such luck");
    let fleet = Fleet::new("one").await;
    let result = bed.enrol(|offer| fleet.grant(offer, now())).await;
    assert_eq!(result.kind(), Kind::Systemd);
    assert!(
        result.message.contains("no such luck"),
        "{}",
        result.message
    );
    assert!(bed.is_untouched());
    let told = bed.host.systemd.calls();
    assert_eq!(told.last().unwrap(), "disable foundry-agent.service");
}

#[tokio::test]
async fn a_certificate_of_another_host_is_refused() {
    let (bed, fleet) = (Bed::new(), Fleet::new("one").await);
    let stranger = HostId::generate().to_string();
    let result = bed
        .enrol(|offer| EnrolGrant {
            host_id: stranger.clone(),
            ..fleet.grant(offer, now())
        })
        .await;
    assert_eq!(result.kind(), Kind::Failed);
    assert!(
        result
            .message
            .starts_with("the certificate is of foundry://"),
        "{}",
        result.message
    );
    assert!(bed.is_untouched());
}

#[tokio::test]
async fn another_fleet_sets_the_ledger_aside_and_the_same_one_keeps_it() {
    let (bed, one, two) = (Bed::new(), Fleet::new("one").await, Fleet::new("two").await);
    bed.enrol(|offer| one.grant(offer, now())).await;
    let record = bed.places.ledger().join("zot.assignment");
    fs::create_dir_all(bed.places.ledger()).unwrap();
    fs::write(&record, "of one").unwrap();
    bed.enrol(|offer| EnrolGrant {
        epoch: 2,
        ..one.grant(offer, now())
    })
    .await;
    assert!(record.exists());
    let result = bed.enrol(|offer| two.grant(offer, now())).await;
    assert_eq!(result.kind(), Kind::Enrolled);
    assert!(!record.exists());
    let aside = bed
        .places
        .state
        .join(format!("ledger-of-{}/zot.assignment", one.id));
    assert_eq!(fs::read_to_string(aside).unwrap(), "of one");
    let told = bed.host.systemd.calls();
    assert!(
        told.contains(&"stop foundry-agent.service".to_owned()),
        "it must not write any more"
    );
}

#[tokio::test]
async fn a_command_line_that_goes_away_leaves_the_host_as_it_was() {
    let bed = Bed::new();
    let (mut ours, task) = bed.begin();
    hear(&mut ours).await.unwrap();
    drop(ours);
    assert!(matches!(task.await.unwrap(), Err(EnrolError::Io(_))));
    assert!(bed.is_untouched());
}
