//! A certificate authority of a fleet and the leaves that it issues.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use foundry_proto::identity::CONTROLLER_SERVER_NAME;
use foundry_proto::{FleetId, HostId, Identity};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use super::{
    BACKDATE, CONTROLLER_LIFETIME, HOST_LIFETIME, HostKey, HostPublicKey, Peer, PeerError, PkiError,
};

/// An authority lives this long; what it signed is replaced long before.
const AUTHORITY_LIFETIME: Duration = Duration::from_secs(20 * 365 * 24 * 3600);

/// Which of a fleet's two authorities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    /// Signs controller and hosts; the only one that sessions trust.
    Fleet,
    /// Signs the servers of components. No peer of a session is accepted because of it.
    Services,
}

/// A certificate authority with its private key.
pub struct CertificateAuthority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

/// What the controller serves with: its certificate and a new key.
pub struct ControllerLeaf {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's private key.
    pub key: PrivateKeyDer<'static>,
}

// === impl Authority ===

impl Authority {
    /// As it stands in the authority's subject.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fleet => "fleet",
            Self::Services => "services",
        }
    }
}

// === impl CertificateAuthority ===

impl CertificateAuthority {
    /// A new authority of the fleet.
    pub fn generate(kind: Authority, fleet: &FleetId, now: SystemTime) -> Result<Self, PkiError> {
        let key =
            KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(PkiError::Generate)?;
        let mut params = dated(now, AUTHORITY_LIFETIME)?;
        let name = format!("foundry {} CA of {fleet}", kind.as_str());
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(|source| PkiError::Sign {
            what: "the authority",
            source,
        })?;
        let (pem, certificate) = (certificate.pem(), certificate.der().clone());
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate,
            pem,
        })
    }

    /// The authority as it was stored.
    pub fn from_pem(pem: &str, key: &str) -> Result<Self, PkiError> {
        let key = KeyPair::from_pem(key).map_err(PkiError::ReadKey)?;
        let malformed = |_| PkiError::ReadCertificate(PeerError::Malformed);
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(malformed)?;
        if Peer::key_of(&certificate).map_err(PkiError::ReadCertificate)? != fingerprint(&key) {
            return Err(PkiError::KeyMismatch);
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key)
            .map_err(|_| PkiError::ReadCertificate(PeerError::Malformed))?;
        Ok(Self {
            issuer,
            certificate,
            pem: pem.to_owned(),
        })
    }

    /// The certificate, as peers are given it.
    pub fn certificate_der(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The certificate, as it is stored.
    pub fn certificate_pem(&self) -> &str {
        &self.pem
    }

    /// The private key, as it is stored (0600, never on a host).
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.issuer.key().serialize_pem())
    }

    /// A certificate for a host's key: client only, its identity the only name in it. Leaf first.
    pub fn issue_host(
        &self,
        key: &HostPublicKey,
        fleet: &FleetId,
        host: HostId,
        now: SystemTime,
    ) -> Result<Vec<CertificateDer<'static>>, PkiError> {
        let mut params = dated(now, HOST_LIFETIME)?;
        params.subject_alt_names = vec![uri(&Identity::Host(fleet.clone(), host))?];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Ok(vec![self.sign(
            params,
            key.info(),
            "a host's certificate",
        )?])
    }

    /// A new key and certificate for the controller.
    pub fn issue_controller(
        &self,
        fleet: &FleetId,
        now: SystemTime,
    ) -> Result<ControllerLeaf, PkiError> {
        let key = HostKey::generate()?;
        let mut params = dated(now, CONTROLLER_LIFETIME)?;
        params.subject_alt_names = vec![
            dns(CONTROLLER_SERVER_NAME)?,
            uri(&Identity::Controller(fleet.clone()))?,
        ];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let leaf = self.sign(params, key.pair(), "the controller's certificate")?;
        Ok(ControllerLeaf {
            chain: vec![leaf],
            key: key.private_key_der(),
        })
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        key: &impl PublicKeyData,
        what: &'static str,
    ) -> Result<CertificateDer<'static>, PkiError> {
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let certificate = params
            .signed_by(key, &self.issuer)
            .map_err(|source| PkiError::Sign { what, source })?;
        Ok(certificate.der().clone())
    }
}

/// Parameters with nothing in them but the dates, from [`BACKDATE`] before `now`.
fn dated(now: SystemTime, lifetime: Duration) -> Result<CertificateParams, PkiError> {
    let since_epoch = now
        .duration_since(UNIX_EPOCH)
        .map_err(|_| PkiError::Time(now))?;
    let start = since_epoch
        .checked_sub(BACKDATE)
        .ok_or(PkiError::Time(now))?;
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = epoch + Duration::from_secs(start.as_secs());
    params.not_after = epoch + Duration::from_secs((since_epoch + lifetime).as_secs());
    Ok(params)
}

fn uri(identity: &Identity) -> Result<SanType, PkiError> {
    let text = identity.to_string();
    Ok(SanType::URI(
        text.as_str()
            .try_into()
            .map_err(|_| PkiError::Name(text.clone()))?,
    ))
}

fn dns(name: &str) -> Result<SanType, PkiError> {
    Ok(SanType::DnsName(
        name.try_into()
            .map_err(|_| PkiError::Name(name.to_owned()))?,
    ))
}

fn fingerprint(key: &KeyPair) -> foundry_proto::Digest {
    foundry_proto::Digest::of(&key.subject_public_key_info())
}

/// The key pair's PKCS#8 form.
pub(super) fn pkcs8(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()))
}
