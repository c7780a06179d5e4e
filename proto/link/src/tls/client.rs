//! The agent's side: the controller is known by its identity and a fixed name, never by the address that was dialled.

use std::fmt;
use std::sync::Arc;

use foundry_proto::identity::CONTROLLER_SERVER_NAME;
use foundry_proto::{FleetId, Identity};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    ResolvesClientCert, Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name,
};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::sync::watch;

use super::{ALPN, Clock, Credentials, TlsError, provider};
use crate::pki::Peer;

/// Dials with whatever credentials are current, each handshake anew.
struct Current {
    credentials: watch::Receiver<Arc<Credentials>>,
    controller: Identity,
}

/// The configuration of an agent of this fleet. Dial with [`controller_name`] as the server's name.
pub fn client_config(
    credentials: watch::Receiver<Arc<Credentials>>,
    fleet: &FleetId,
    clock: Arc<Clock>,
) -> Result<ClientConfig, TlsError> {
    let controller = Identity::Controller(fleet.clone());
    let current = Arc::new(Current {
        credentials,
        controller,
    });
    let mut config = ClientConfig::builder_with_details(provider(), clock)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Setup)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&current) as Arc<dyn ServerCertVerifier>)
        .with_client_cert_resolver(current);
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

/// The name that every controller answers to.
pub fn controller_name() -> ServerName<'static> {
    ServerName::try_from(CONTROLLER_SERVER_NAME)
        .unwrap_or_else(|_| unreachable!("{CONTROLLER_SERVER_NAME} is a DNS name"))
}

// === impl Current ===

impl Current {
    fn get(&self) -> Arc<Credentials> {
        Arc::clone(&self.credentials.borrow())
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current")
            .field("controller", &self.controller)
            .finish_non_exhaustive()
    }
}

impl ResolvesClientCert for Current {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.get().certified))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl ServerCertVerifier for Current {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(leaf)?;
        let algorithms = provider().signature_verification_algorithms;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.get().roots,
            intermediates,
            now,
            algorithms.all,
        )?;
        verify_server_name(&parsed, server_name)?;
        let peer = Peer::of(leaf).map_err(super::unnamed)?;
        if peer.identity != self.controller {
            return Err(super::unexpected());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls12_signature(message, leaf, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls13_signature(message, leaf, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
