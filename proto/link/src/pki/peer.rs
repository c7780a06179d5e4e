//! What a certificate says of its holder.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use foundry_proto::identity::IdentityError;
use foundry_proto::{Digest, Identity};
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The holder of a certificate. Whether the certificate is to be believed is not said here: [`crate::tls`] verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Who it is.
    pub identity: Identity,
    /// SHA-256 of its public key (SubjectPublicKeyInfo in DER).
    pub key: Digest,
    /// From when the certificate is valid; [`super::BACKDATE`] before it was made.
    pub not_before: SystemTime,
    /// Until when.
    pub not_after: SystemTime,
}

/// Why a certificate names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// Not a certificate in DER.
    #[error("the certificate cannot be read")]
    Malformed,
    /// No URI, or more than one.
    #[error("the certificate has {0} URIs where one is expected")]
    Uris(usize),
    /// The URI is not an identity.
    #[error("the certificate names nobody")]
    Identity(#[source] IdentityError),
}

// === impl Peer ===

impl Peer {
    /// The holder of this certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, PeerError> {
        let certificate = parse(certificate)?;
        let names = certificate
            .subject_alternative_name()
            .map_err(|_| PeerError::Malformed)?;
        let uris: Vec<&str> = names
            .iter()
            .flat_map(|names| &names.value.general_names)
            .filter_map(|name| {
                if let GeneralName::URI(uri) = name {
                    Some(*uri)
                } else {
                    None
                }
            })
            .collect();
        let [uri] = uris[..] else {
            return Err(PeerError::Uris(uris.len()));
        };
        let validity = certificate.validity();
        Ok(Self {
            identity: uri.parse().map_err(PeerError::Identity)?,
            key: Digest::of(certificate.public_key().raw),
            not_before: time(validity.not_before.timestamp()),
            not_after: time(validity.not_after.timestamp()),
        })
    }

    /// SHA-256 of the public key of any certificate.
    pub(super) fn key_of(certificate: &CertificateDer<'_>) -> Result<Digest, PeerError> {
        Ok(Digest::of(parse(certificate)?.public_key().raw))
    }

    /// Since when the certificate exists, as far as its dates tell.
    pub fn issued(&self) -> SystemTime {
        self.not_before + super::BACKDATE
    }
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, PeerError> {
    match X509Certificate::from_der(certificate) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) | Err(_) => Err(PeerError::Malformed),
    }
}

fn time(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap_or_default())
}
