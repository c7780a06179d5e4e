//! The fleet's certificates: two authorities, the leaves that they issue, and what is read from a peer's leaf.
//!
//! Of a signing request only the public key is taken, after its signature was verified; every other field of a
//! certificate is decided here. So a host cannot ask for another name, for another use, or for an authority.

mod authority;
mod host_key;
mod peer;
mod public_key;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use authority::{Authority, CertificateAuthority, ControllerLeaf};
pub use host_key::HostKey;
pub use peer::{Peer, PeerError};
pub use public_key::{CsrError, HostPublicKey};

/// Every certificate is valid from this long before it was made: clocks on hosts may be behind.
pub const BACKDATE: Duration = Duration::from_secs(24 * 3600);

/// How long a host's certificate is valid.
pub const HOST_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);

/// A host's certificate older than this is replaced over its session.
pub const HOST_RENEW_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long the controller's certificate is valid.
pub const CONTROLLER_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// What can go wrong with keys and certificates of our own making.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A key could not be made.
    #[error("make a P-256 key")]
    Generate(#[source] rcgen::Error),
    /// The text is not a private key in PEM.
    #[error("read a private key")]
    ReadKey(#[source] rcgen::Error),
    /// The text is not the certificate of an authority in PEM.
    #[error("read the certificate of a certificate authority")]
    ReadCertificate(#[source] PeerError),
    /// The private key belongs to another certificate.
    #[error("the private key of the certificate authority does not belong to its certificate")]
    KeyMismatch,
    /// A certificate or a request could not be signed.
    #[error("sign {what}")]
    Sign {
        /// What was to be signed.
        what: &'static str,
        /// The cause.
        #[source]
        source: rcgen::Error,
    },
    /// A name that no certificate can carry.
    #[error("`{0}` cannot stand in a certificate")]
    Name(String),
    /// A time that no certificate can carry.
    #[error("the time {0:?} cannot stand in a certificate")]
    Time(std::time::SystemTime),
}
