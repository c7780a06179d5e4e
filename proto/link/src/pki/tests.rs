//! What certificates hold, whatever was asked for.

use std::time::{Duration, SystemTime};

use foundry_proto::identity::CONTROLLER_SERVER_NAME;
use foundry_proto::{Digest, FleetId, HostId, Identity};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{
    Authority, BACKDATE, CONTROLLER_LIFETIME, CertificateAuthority, CsrError, HOST_LIFETIME,
    HostKey, HostPublicKey, Peer, PeerError, PkiError,
};

fn fleet() -> FleetId {
    "test-0a1b2c".parse().unwrap()
}

fn authority() -> CertificateAuthority {
    CertificateAuthority::generate(Authority::Fleet, &fleet(), SystemTime::now()).unwrap()
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> X509Certificate<'a> {
    X509Certificate::from_der(certificate).unwrap().1
}

/// Its subject alternative names, as text.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    let name = |name: &GeneralName<'_>| {
        if let GeneralName::URI(uri) = name {
            format!("URI:{uri}")
        } else if let GeneralName::DNSName(dns) = name {
            format!("DNS:{dns}")
        } else {
            format!("{name:?}")
        }
    };
    names.value.general_names.iter().map(name).collect()
}

/// A request that asks for everything that a host must not have.
fn greedy(key: &KeyPair) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "root of all");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::Any,
    ];
    let controller = Identity::Controller(fleet()).to_string();
    params.subject_alt_names = vec![
        SanType::URI(controller.as_str().try_into().unwrap()),
        SanType::DnsName(CONTROLLER_SERVER_NAME.try_into().unwrap()),
    ];
    let oid = [1, 3, 6, 1, 4, 1, 99999, 1];
    params.custom_extensions = vec![CustomExtension::from_oid_content(&oid, b"mine".to_vec())];
    params.serialize_request(key).unwrap().der().to_vec()
}

#[test]
fn a_greedy_request_yields_a_certificate_with_none_of_it() {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let request = greedy(&key);
    for asked in ["root of all", "/controller", CONTROLLER_SERVER_NAME] {
        assert!(contains(&request, asked), "the request asks for {asked}");
    }
    let public = HostPublicKey::from_csr(&request).unwrap();
    let host = HostId::generate();
    let [leaf] = &authority()
        .issue_host(&public, &fleet(), host, SystemTime::now())
        .unwrap()[..]
    else {
        panic!("one certificate")
    };
    let certificate = parse(leaf);
    assert!(!certificate.is_ca());
    assert!(!certificate.basic_constraints().unwrap().unwrap().value.ca);
    assert_eq!(certificate.subject().iter().count(), 0);
    assert_eq!(
        names(&certificate),
        [format!("URI:{}", Identity::Host(fleet(), host))]
    );
    let usage = certificate.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && !usage.key_cert_sign() && !usage.crl_sign());
    let extended = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(extended.client_auth && !extended.server_auth && !extended.any);
    let unknown = |extension: &ParsedExtension<'_>| {
        matches!(extension, ParsedExtension::UnsupportedExtension { .. })
    };
    assert!(
        !certificate
            .extensions()
            .iter()
            .any(|one| unknown(one.parsed_extension()))
    );
    for asked in ["root of all", "/controller", CONTROLLER_SERVER_NAME, "mine"] {
        assert!(!contains(leaf, asked), "the certificate holds {asked}");
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn a_host_certificate_names_its_holder_and_its_key() {
    let (key, host, now) = (
        HostKey::generate().unwrap(),
        HostId::generate(),
        SystemTime::now(),
    );
    let public = HostPublicKey::from_csr(&key.csr_der().unwrap()).unwrap();
    let chain = authority()
        .issue_host(&public, &fleet(), host, now)
        .unwrap();
    let peer = Peer::of(&chain[0]).unwrap();
    assert_eq!(peer.identity, Identity::Host(fleet(), host));
    assert_eq!(peer.key, public.fingerprint());
    assert_eq!(peer.key, key.fingerprint());
    let second = Duration::from_secs(1);
    assert!(peer.not_before <= now - BACKDATE && peer.not_before + second > now - BACKDATE);
    assert!(peer.not_after <= now + HOST_LIFETIME && peer.not_after + second > now + HOST_LIFETIME);
    assert!(peer.issued() <= now && peer.issued() + second > now);
}

#[test]
fn the_controllers_certificate_serves_and_dials_for_a_week() {
    let now = SystemTime::now();
    let leaf = authority().issue_controller(&fleet(), now).unwrap();
    let certificate = parse(&leaf.chain[0]);
    let uri = format!("URI:{}", Identity::Controller(fleet()));
    assert_eq!(
        names(&certificate),
        [format!("DNS:{CONTROLLER_SERVER_NAME}"), uri]
    );
    let extended = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(extended.client_auth && extended.server_auth);
    assert!(Peer::of(&leaf.chain[0]).unwrap().not_after <= now + CONTROLLER_LIFETIME);
}

#[test]
fn authorities_and_keys_read_back() {
    let made = authority();
    let read = CertificateAuthority::from_pem(made.certificate_pem(), &made.key_pem()).unwrap();
    assert_eq!(made.certificate_der(), read.certificate_der());
    let key = HostKey::generate().unwrap();
    assert_eq!(
        HostKey::from_pem(&key.to_pem()).unwrap().fingerprint(),
        key.fingerprint()
    );
    let public = HostPublicKey::from_csr(&key.csr_der().unwrap()).unwrap();
    let chain = read
        .issue_host(&public, &fleet(), HostId::generate(), SystemTime::now())
        .unwrap();
    let signed = parse(&chain[0]);
    signed
        .verify_signature(Some(parse(made.certificate_der()).public_key()))
        .unwrap();
}

#[test]
fn an_authority_with_anothers_key_is_refused() {
    let (one, other) = (authority(), authority());
    let mixed = CertificateAuthority::from_pem(one.certificate_pem(), &other.key_pem());
    assert!(matches!(mixed, Err(PkiError::KeyMismatch)));
    assert!(CertificateAuthority::from_pem("nonsense", &one.key_pem()).is_err());
    assert!(CertificateAuthority::from_pem(one.certificate_pem(), "nonsense").is_err());
}

#[test]
fn a_request_must_be_whole_signed_and_for_a_p256_key() {
    let request = HostKey::generate().unwrap().csr_der().unwrap();
    for cut in 0..request.len() {
        assert!(
            HostPublicKey::from_csr(&request[..cut]).is_err(),
            "cut at {cut}"
        );
    }
    let longer = [&request[..], b"more"].concat();
    assert!(matches!(
        HostPublicKey::from_csr(&longer),
        Err(CsrError::Malformed)
    ));
    let mut tampered = request.clone();
    *tampered.last_mut().unwrap() ^= 1;
    assert!(matches!(
        HostPublicKey::from_csr(&tampered),
        Err(CsrError::Signature(_))
    ));
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    for key in [p384, ed25519] {
        let request = CertificateParams::default()
            .serialize_request(&key)
            .unwrap();
        let refused = HostPublicKey::from_csr(request.der());
        assert!(matches!(refused, Err(CsrError::Algorithm)), "{refused:?}");
    }
}

#[test]
fn a_certificate_that_names_nobody_or_two_is_no_peers() {
    let with = |uris: &[&str]| {
        let mut params = CertificateParams::default();
        let uri = |uri: &&str| SanType::URI((*uri).try_into().unwrap());
        params.subject_alt_names = uris.iter().map(uri).collect();
        let key = KeyPair::generate().unwrap();
        Peer::of(params.self_signed(&key).unwrap().der())
    };
    assert_eq!(with(&[]), Err(PeerError::Uris(0)));
    let (one, two) = ("foundry://a-1/controller", "foundry://b-1/controller");
    assert_eq!(with(&[one, two]), Err(PeerError::Uris(2)));
    assert!(matches!(
        with(&["https://a-1/controller"]),
        Err(PeerError::Identity(_))
    ));
    assert!(with(&[one]).is_ok());
    assert_eq!(
        Peer::of(&CertificateDer::from(vec![0x30, 0x00])),
        Err(PeerError::Malformed)
    );
}

#[test]
fn fingerprints_are_of_the_public_key_alone() {
    let key = HostKey::generate().unwrap();
    let public = HostPublicKey::from_csr(&key.csr_der().unwrap()).unwrap();
    let (ca, now) = (authority(), SystemTime::now());
    let fingerprint = |chain: Vec<CertificateDer<'static>>| Peer::of(&chain[0]).unwrap().key;
    let issue = |at| {
        ca.issue_host(&public, &fleet(), HostId::generate(), at)
            .unwrap()
    };
    let keys: Vec<Digest> = [now, now + Duration::from_secs(60)]
        .into_iter()
        .map(issue)
        .map(fingerprint)
        .collect();
    assert_eq!(keys[0], keys[1]);
}
