use std::sync::Arc;
use std::time::SystemTime;

use camino::Utf8Path;
use foundry_link::pki::{Authority, CertificateAuthority, HostKey, HostPublicKey};
use foundry_link::tls::Clock;
use foundry_proto::agent::v1::{CertificateRequest, IssuedCertificate};
use foundry_proto::{FleetId, HostId};

use super::Renewal;
use crate::config::{HmacKey, Identity, Places, Settings};

struct Bed {
    _owner: tempfile::TempDir,
    places: Places,
    fleet: FleetId,
    host: HostId,
    authority: CertificateAuthority,
    renewal: Arc<Renewal>,
}

impl Bed {
    fn new() -> Self {
        let owner = tempfile::tempdir().unwrap();
        let places = Places::below(Utf8Path::from_path(owner.path()).unwrap());
        fs_err::create_dir_all(places.identity()).unwrap();
        fs_err::create_dir_all(&places.config).unwrap();
        let (fleet, host) = (FleetId::generate("test"), HostId::generate());
        let authority =
            CertificateAuthority::generate(Authority::Fleet, &fleet, SystemTime::now()).unwrap();
        let key = HostKey::generate().unwrap();
        let public = HostPublicKey::from_csr(&key.csr_der().unwrap()).unwrap();
        let chain = authority
            .issue_host(&public, &fleet, host, SystemTime::now())
            .unwrap();
        let identity = Identity {
            key,
            chain,
            trusted: vec![authority.certificate_der().clone()],
        };
        let settings = Settings {
            fleet: fleet.clone(),
            host_id: host,
            hostname: "node1".parse().unwrap(),
            epoch: 1,
            addresses: vec!["198.18.0.1:7443".to_owned()],
            hmac_key: HmacKey::default(),
            since_ms: 0,
        };
        let clock = Arc::new(Clock::default());
        let renewal = Renewal::new(places.clone(), settings, identity, clock).unwrap();
        Self {
            _owner: owner,
            places,
            fleet,
            host,
            authority,
            renewal: Arc::new(renewal),
        }
    }

    fn issue(&self, request: &CertificateRequest, host: HostId) -> IssuedCertificate {
        let public = HostPublicKey::from_csr(&request.csr).unwrap();
        let now = SystemTime::now();
        let chain = self
            .authority
            .issue_host(&public, &self.fleet, host, now)
            .unwrap();
        let chain = chain.iter().map(|der| der.to_vec().into()).collect();
        IssuedCertificate {
            chain,
            trusted_cas: Vec::new(),
        }
    }
}

#[tokio::test]
async fn a_new_certificate_is_stored_and_published() {
    let bed = Bed::new();
    let mut published = bed.renewal.credentials();
    let before = published.borrow_and_update().peer().key;
    let request = bed.renewal.request().unwrap();
    bed.renewal.certificate(bed.issue(&request, bed.host)).await;
    assert!(published.has_changed().unwrap());
    let key = published.borrow_and_update().peer().key;
    assert_ne!(key, before);
    assert_eq!(
        Identity::read(&bed.places.identity())
            .unwrap()
            .key
            .fingerprint(),
        key
    );
}

#[tokio::test]
async fn what_does_not_hold_changes_nothing() {
    let bed = Bed::new();
    let published = bed.renewal.credentials();
    let request = bed.renewal.request().unwrap();
    // Of another host, then once more without having been asked for, then for a key that is not ours.
    bed.renewal
        .certificate(bed.issue(&request, HostId::generate()))
        .await;
    bed.renewal.certificate(bed.issue(&request, bed.host)).await;
    bed.renewal.request().unwrap();
    bed.renewal.certificate(bed.issue(&request, bed.host)).await;
    assert!(!published.has_changed().unwrap());
    assert!(
        Identity::read(&bed.places.identity()).is_err(),
        "nothing was stored"
    );
}

#[tokio::test]
async fn addresses_and_authorities_are_taken_over_where_they_are_given() {
    let bed = Bed::new();
    let (published, addresses) = (bed.renewal.credentials(), bed.renewal.addresses());
    bed.renewal.settings(&[], &[]).await;
    assert!(!addresses.has_changed().unwrap() && !published.has_changed().unwrap());

    let now = SystemTime::now();
    let next = CertificateAuthority::generate(Authority::Fleet, &bed.fleet, now).unwrap();
    let both = [bed.authority.certificate_der(), next.certificate_der()]
        .map(|der| bytes::Bytes::copy_from_slice(der));
    let address = "203.0.113.9:7443".to_owned();
    bed.renewal
        .settings(std::slice::from_ref(&address), &both)
        .await;
    assert_eq!(*addresses.borrow(), std::slice::from_ref(&address));
    assert_eq!(
        Settings::read(bed.places.settings()).unwrap().addresses,
        [address]
    );
    assert!(published.has_changed().unwrap());
    assert_eq!(
        Identity::read(&bed.places.identity())
            .unwrap()
            .trusted
            .len(),
        2
    );

    // Without the authority that issued its own certificate the agent would lock itself out.
    bed.renewal.settings(&[], &both[1..]).await;
    assert_eq!(
        Identity::read(&bed.places.identity())
            .unwrap()
            .trusted
            .len(),
        2
    );
}
