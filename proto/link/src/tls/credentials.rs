//! What one side shows and whom it trusts, as one checked set.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use foundry_proto::{FleetId, Identity};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;

use super::provider;
use crate::pki::{Peer, PeerError};

/// A certificate with its key and the authorities to trust. What is in here was verified: it can be published.
pub struct Credentials {
    pub(super) certified: Arc<CertifiedKey>,
    pub(super) roots: Arc<RootCertStore>,
    pub(super) clients: Arc<dyn ClientCertVerifier>,
    peer: Peer,
}

/// Why a set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// There is no certificate.
    #[error("no certificate is given")]
    NoCertificate,
    /// The certificate names nobody, or cannot be read.
    #[error("read the certificate")]
    Certificate(#[source] PeerError),
    /// The certificate is of another fleet.
    #[error("the certificate is of {found}, not of the fleet {expected}")]
    OtherFleet {
        /// The fleet that was asked for.
        expected: FleetId,
        /// Whom it names.
        found: Identity,
    },
    /// The key cannot be used, or belongs to another certificate.
    #[error("the private key does not fit the certificate")]
    Key(#[source] rustls::Error),
    /// An authority's certificate cannot be used.
    #[error("read the certificate of a trusted authority")]
    Authority(#[source] rustls::Error),
    /// No authority is given.
    #[error("no authority is trusted")]
    NoAuthority(#[source] rustls::client::VerifierBuilderError),
    /// No trusted authority vouches for the certificate at this time.
    #[error("the certificate does not hold")]
    Untrusted(#[source] rustls::Error),
}

// === impl Credentials ===

impl Credentials {
    /// Checks the set as a peer would: chain to `trusted`, dates at `now`, an identity of the fleet, the key's fit.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        trusted: Vec<CertificateDer<'static>>,
        fleet: &FleetId,
        now: SystemTime,
    ) -> Result<Self, CredentialsError> {
        let leaf = chain.first().ok_or(CredentialsError::NoCertificate)?;
        let peer = Peer::of(leaf).map_err(CredentialsError::Certificate)?;
        if peer.identity.fleet() != fleet {
            let (expected, found) = (fleet.clone(), peer.identity);
            return Err(CredentialsError::OtherFleet { expected, found });
        }
        let mut roots = RootCertStore::empty();
        for authority in trusted {
            roots.add(authority).map_err(CredentialsError::Authority)?;
        }
        let roots = Arc::new(roots);
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider())
            .clear_root_hint_subjects()
            .build()
            .map_err(CredentialsError::NoAuthority)?;
        let at = UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap_or_default());
        // Hosts and controller both carry clientAuth, so one verifier judges either.
        clients
            .verify_client_cert(leaf, &chain[1..], at)
            .map_err(CredentialsError::Untrusted)?;
        let certified =
            CertifiedKey::from_der(chain, key, &provider()).map_err(CredentialsError::Key)?;
        certified.keys_match().map_err(CredentialsError::Key)?;
        Ok(Self {
            certified: Arc::new(certified),
            roots,
            clients,
            peer,
        })
    }

    /// Whom the certificate names, its key and dates.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use foundry_proto::{FleetId, HostId};

    use super::{Credentials, CredentialsError};
    use crate::pki::{
        Authority, CertificateAuthority, HOST_LIFETIME, HostKey, HostPublicKey, Peer,
    };

    /// A fleet's authority and one of its hosts.
    struct Issued {
        fleet: FleetId,
        ca: CertificateAuthority,
        key: HostKey,
        chain: Vec<rustls::pki_types::CertificateDer<'static>>,
        now: SystemTime,
    }

    fn issued() -> Issued {
        let (fleet, now) = (FleetId::generate("test"), SystemTime::now());
        let ca = CertificateAuthority::generate(Authority::Fleet, &fleet, now).unwrap();
        let key = HostKey::generate().unwrap();
        let public = HostPublicKey::from_csr(&key.csr_der().unwrap()).unwrap();
        let chain = ca
            .issue_host(&public, &fleet, HostId::generate(), now)
            .unwrap();
        Issued {
            fleet,
            ca,
            key,
            chain,
            now,
        }
    }

    impl Issued {
        fn check(self) -> Result<Credentials, CredentialsError> {
            let trusted = vec![self.ca.certificate_der().clone()];
            let key = self.key.private_key_der();
            Credentials::new(self.chain, key, trusted, &self.fleet, self.now)
        }
    }

    #[test]
    fn a_good_set_is_taken() {
        let good = issued();
        let peer = Peer::of(&good.chain[0]).unwrap();
        assert_eq!(good.check().unwrap().peer(), &peer);
    }

    #[test]
    fn what_a_peer_would_refuse_is_refused_before_it_is_published() {
        let refused = |adjust: &dyn Fn(&mut Issued)| {
            let mut set = issued();
            adjust(&mut set);
            set.check().unwrap_err()
        };
        use CredentialsError as E;
        let error = refused(&|set| set.chain.clear());
        assert!(matches!(error, E::NoCertificate), "{error:?}");
        let error = refused(&|set| set.key = HostKey::generate().unwrap());
        assert!(matches!(error, E::Key(_)), "{error:?}");
        let error = refused(&|set| set.fleet = FleetId::generate("other"));
        assert!(matches!(error, E::OtherFleet { .. }), "{error:?}");
        let error = refused(&|set| set.ca = issued().ca);
        assert!(matches!(error, E::Untrusted(_)), "{error:?}");
        let error = refused(&|set| set.now += HOST_LIFETIME + Duration::from_secs(1));
        assert!(matches!(error, E::Untrusted(_)), "{error:?}");
        let error = refused(&|set| set.now -= 2 * crate::pki::BACKDATE);
        assert!(matches!(error, E::Untrusted(_)), "{error:?}");
    }

    #[test]
    fn half_a_day_either_way_is_no_trouble() {
        for off in [-12i64, 12] {
            let mut set = issued();
            let hours = Duration::from_secs(off.unsigned_abs() * 3600);
            set.now = if off < 0 {
                set.now - hours
            } else {
                set.now + hours
            };
            set.check().unwrap();
        }
    }
}
