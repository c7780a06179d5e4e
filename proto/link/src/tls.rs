//! TLS 1.3 between agents and controller, both sides with certificates, credentials swapped while connections live.
//!
//! A peer is accepted when its chain ends at a trusted authority of the fleet, its dates hold, its use fits, and the one
//! URI in it is the identity that is expected. There is no session resumption on either side: a resumed session would
//! bring back a certificate that is not verified again. Certificates are checked with the same verifier before they are
//! published ([`Credentials::new`]); whoever holds the sender of the watch channel publishes them.

mod client;
mod clock;
mod credentials;
mod server;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub use client::{client_config, controller_name};
pub use clock::Clock;
pub use credentials::{Credentials, CredentialsError};
pub use server::server_config;

/// The protocol that both sides speak inside TLS.
const ALPN: &[u8] = b"h2";

/// A configuration that cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The provider cannot do TLS 1.3.
    #[error("set up TLS 1.3")]
    Setup(#[source] rustls::Error),
}

/// The one provider; handed over explicitly wherever rustls wants one, never as a process default.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: std::sync::OnceLock<Arc<CryptoProvider>> = std::sync::OnceLock::new();
    PROVIDER
        .get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .clone()
}

/// The certificate names nobody.
fn unnamed(error: crate::pki::PeerError) -> rustls::Error {
    rustls::CertificateError::Other(rustls::OtherError(Arc::new(error))).into()
}

/// The certificate names somebody else.
fn unexpected() -> rustls::Error {
    rustls::CertificateError::ApplicationVerificationFailure.into()
}
