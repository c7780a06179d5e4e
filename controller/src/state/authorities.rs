//! The two CAs of a fleet, and the key of its store.

use std::time::SystemTime;

use foundry_link::pki::{Authority, CertificateAuthority, PkiError};
use foundry_proto::FleetId;
use zeroize::Zeroizing;

use super::create::SEAL_KEY_LENGTH;
use super::error::StateError;
use super::paths::Paths;

/// A fleet's own CA (controller and agents) and the one of its services.
pub struct Authorities {
    fleet: CertificateAuthority,
    services: CertificateAuthority,
}

// === impl Authorities ===

impl Authorities {
    pub(super) fn generate(fleet: &FleetId, now: SystemTime) -> Result<Self, StateError> {
        let make = |kind| {
            CertificateAuthority::generate(kind, fleet, now)
                .map_err(|source| failed(fleet, "make the CA", source))
        };
        Ok(Self {
            fleet: make(Authority::Fleet)?,
            services: make(Authority::Services)?,
        })
    }

    /// Reads both from the fleet's folder.
    pub fn load(paths: &Paths) -> Result<Self, StateError> {
        let read = |kind| {
            let certificate = fs_err::read_to_string(paths.ca_certificate(kind))
                .map_err(StateError::io("read a certificate"))?;
            let key = fs_err::read_to_string(paths.ca_key(kind))
                .map(Zeroizing::new)
                .map_err(StateError::io("read a key"))?;
            CertificateAuthority::from_pem(&certificate, &key)
                .map_err(|source| failed(paths.fleet(), "read the CA", source))
        };
        Ok(Self {
            fleet: read(Authority::Fleet)?,
            services: read(Authority::Services)?,
        })
    }

    /// The CA of controller and agents.
    pub fn fleet(&self) -> &CertificateAuthority {
        &self.fleet
    }

    /// The CA of the services' TLS. Agents accept nobody by it.
    pub fn services(&self) -> &CertificateAuthority {
        &self.services
    }

    /// The key that seals what is secret in the store.
    pub fn seal_key(paths: &Paths) -> Result<Zeroizing<[u8; SEAL_KEY_LENGTH]>, StateError> {
        let path = paths.seal_key();
        let bytes = fs_err::read(&path)
            .map(Zeroizing::new)
            .map_err(StateError::io("read a key"))?;
        let found = bytes.len();
        let key: [u8; SEAL_KEY_LENGTH] = bytes
            .as_slice()
            .try_into()
            .map_err(|_| StateError::SealKey { path, found })?;
        Ok(Zeroizing::new(key))
    }
}

fn failed(fleet: &FleetId, action: &'static str, source: PkiError) -> StateError {
    StateError::Authority {
        fleet: fleet.clone(),
        action,
        source,
    }
}
