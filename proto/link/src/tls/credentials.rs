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
