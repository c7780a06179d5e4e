//! The private key of a host, made and kept on that host.

use foundry_proto::Digest;
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PublicKeyData};
use rustls::pki_types::PrivateKeyDer;
use zeroize::Zeroizing;

use super::PkiError;

/// A P-256 key pair.
pub struct HostKey(KeyPair);

// === impl HostKey ===

impl HostKey {
    /// A new key.
    pub fn generate() -> Result<Self, PkiError> {
        KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
            .map(Self)
            .map_err(PkiError::Generate)
    }

    /// The key as it was stored.
    pub fn from_pem(pem: &str) -> Result<Self, PkiError> {
        KeyPair::from_pem(pem).map(Self).map_err(PkiError::ReadKey)
    }

    /// The key, as it is stored (0600).
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.serialize_pem())
    }

    /// The key, as [`crate::tls::Credentials`] take it.
    pub fn private_key_der(&self) -> PrivateKeyDer<'static> {
        super::authority::pkcs8(&self.0)
    }

    /// A request for a certificate of this key. It asks for nothing else: the fleet decides the rest.
    pub fn csr_der(&self) -> Result<Vec<u8>, PkiError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let request = params
            .serialize_request(&self.0)
            .map_err(|source| PkiError::Sign {
                what: "a certificate request",
                source,
            })?;
        Ok(request.der().to_vec())
    }

    /// SHA-256 of the public key, as [`super::Peer::key`] has it.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(&self.0.subject_public_key_info())
    }

    pub(super) fn pair(&self) -> &KeyPair {
        &self.0
    }
}
