//! The public key of a host: the only thing that is taken from a signing request.

use foundry_proto::Digest;
use rcgen::{PublicKeyData, SubjectPublicKeyInfo};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

/// A P-256 public key whose holder proved to have the private one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPublicKey(SubjectPublicKeyInfo);

/// Why a signing request is refused.
#[derive(Debug, thiserror::Error)]
pub enum CsrError {
    /// Not a request in DER, or more than one.
    #[error("the certificate request cannot be read")]
    Malformed,
    /// Not signed by the key that it is for.
    #[error("the certificate request is not signed by its own key")]
    Signature(#[source] x509_parser::error::X509Error),
    /// Another kind of key than P-256.
    #[error("the certificate request is for another kind of key than P-256")]
    Algorithm,
}

// === impl HostPublicKey ===

impl HostPublicKey {
    /// The public key of a request in DER. What else the request asks for is logged and ignored.
    pub fn from_csr(der: &[u8]) -> Result<Self, CsrError> {
        let (rest, request) =
            X509CertificationRequest::from_der(der).map_err(|_| CsrError::Malformed)?;
        if !rest.is_empty() {
            return Err(CsrError::Malformed);
        }
        let info = &request.certification_request_info;
        let key = SubjectPublicKeyInfo::from_der(info.subject_pki.raw)
            .map_err(|_| CsrError::Algorithm)?;
        if key.algorithm() != &rcgen::PKCS_ECDSA_P256_SHA256 {
            return Err(CsrError::Algorithm);
        }
        request.verify_signature().map_err(CsrError::Signature)?;
        if let Some(asked) = request.requested_extensions() {
            let count = asked.count();
            tracing::warn!(count, "a certificate request asks for extensions: ignored");
        }
        Ok(Self(key))
    }

    /// SHA-256 of the key, as [`super::Peer::key`] has it.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(&self.0.subject_public_key_info())
    }

    pub(super) fn info(&self) -> &SubjectPublicKeyInfo {
        &self.0
    }
}
