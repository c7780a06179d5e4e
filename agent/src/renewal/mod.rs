//! What the controller changes of the agent's own: its certificate, the authorities it trusts, where it dials.
//!
//! New credentials are checked with the real verifier, then stored, then published; a failure at any point leaves the old
//! ones in use.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use foundry_link::pki::HostKey;
use foundry_link::tls::{Clock, Credentials, CredentialsError};
use foundry_proto::agent::v1::{CertificateRequest, IssuedCertificate};
use foundry_proto::{FleetId, Identity as Name};
use rustls::pki_types::CertificateDer;
use tokio::sync::watch;

use crate::config::{Identity, IdentityError, Places, Settings, SettingsError};
use crate::error_chain::ErrorChain;

/// The agent's own credentials and settings.
pub struct Renewal {
    places: Places,
    clock: Arc<Clock>,
    state: Arc<Mutex<State>>,
    published: watch::Sender<Arc<Credentials>>,
    addresses: watch::Sender<Vec<String>>,
}

struct State {
    settings: Settings,
    identity: Identity,
    /// The key that a certificate was asked for.
    asked: Option<HostKey>,
}

/// Why new credentials or settings are not taken.
#[derive(Debug, thiserror::Error)]
pub enum RenewalError {
    /// They do not hold.
    #[error("the new certificate cannot be used")]
    Credentials(#[source] CredentialsError),
    /// It is another host's.
    #[error("the new certificate is of {0}")]
    OtherHost(Name),
    /// None was asked for.
    #[error("no certificate was asked for")]
    NotAsked,
    /// It cannot be stored.
    #[error("the new certificate is not stored")]
    Store(#[source] IdentityError),
    /// The settings cannot be stored.
    #[error("the new settings are not stored")]
    Settings(#[source] SettingsError),
}

/// The credentials of this identity, checked as a peer would.
pub fn credentials(
    identity: &Identity,
    fleet: &FleetId,
    now: SystemTime,
) -> Result<Credentials, CredentialsError> {
    let (chain, trusted) = (identity.chain.clone(), identity.trusted.clone());
    Credentials::new(chain, identity.key.private_key_der(), trusted, fleet, now)
}

// === impl Renewal ===

impl Renewal {
    /// Begins with what the host has.
    pub fn new(
        places: Places,
        settings: Settings,
        identity: Identity,
        clock: Arc<Clock>,
    ) -> Result<Self, CredentialsError> {
        let credentials = credentials(&identity, &settings.fleet, clock.now())?;
        let (published, _) = watch::channel(Arc::new(credentials));
        let (addresses, _) = watch::channel(settings.addresses.clone());
        let state = Arc::new(Mutex::new(State {
            settings,
            identity,
            asked: None,
        }));
        Ok(Self {
            places,
            clock,
            state,
            published,
            addresses,
        })
    }

    /// The credentials in use.
    pub fn credentials(&self) -> watch::Receiver<Arc<Credentials>> {
        self.published.subscribe()
    }

    /// Where to dial.
    pub fn addresses(&self) -> watch::Receiver<Vec<String>> {
        self.addresses.subscribe()
    }

    /// A request for a certificate of a new key.
    pub(crate) fn request(&self) -> Option<CertificateRequest> {
        let made = HostKey::generate().and_then(|key| Ok((key.csr_der()?, key)));
        match made {
            Ok((csr, key)) => {
                self.lock().asked = Some(key);
                Some(CertificateRequest { csr: csr.into() })
            }
            Err(error) => {
                tracing::error!(error = %ErrorChain(&error), "no new key can be made");
                None
            }
        }
    }

    /// Takes the certificate that was asked for.
    pub(crate) async fn certificate(self: &Arc<Self>, issued: IssuedCertificate) {
        self.change("the new certificate is not taken", move |this| {
            this.take(issued)
        })
        .await;
    }

    /// Takes new addresses and authorities; none means: as before.
    pub(crate) async fn settings(self: &Arc<Self>, addresses: &[String], trusted: &[Bytes]) {
        let (addresses, trusted) = (addresses.to_vec(), ders(trusted));
        self.change("the new settings are not taken", move |this| {
            this.adopt(addresses, trusted)
        })
        .await;
    }

    /// Files are written on a thread that may wait for them.
    async fn change(
        self: &Arc<Self>,
        trouble: &'static str,
        change: impl FnOnce(&Self) -> Result<(), RenewalError> + Send + 'static,
    ) {
        let this = Arc::clone(self);
        match tokio::task::spawn_blocking(move || change(&this)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(error = %ErrorChain(&error), "{trouble}"),
            Err(error) => tracing::error!(%error, "{trouble}"),
        }
    }

    fn take(&self, issued: IssuedCertificate) -> Result<(), RenewalError> {
        let mut state = self.lock();
        let key = state.asked.take().ok_or(RenewalError::NotAsked)?;
        let trusted = match ders(&issued.trusted_cas) {
            none if none.is_empty() => state.identity.trusted.clone(),
            trusted => trusted,
        };
        let identity = Identity {
            key,
            chain: ders(&issued.chain),
            trusted,
        };
        self.replace(&mut state, identity)
    }

    fn adopt(
        &self,
        addresses: Vec<String>,
        trusted: Vec<CertificateDer<'static>>,
    ) -> Result<(), RenewalError> {
        let mut state = self.lock();
        if !trusted.is_empty() && trusted != state.identity.trusted {
            let key = HostKey::from_pem(&state.identity.key.to_pem())
                .map_err(|error| RenewalError::Store(IdentityError::Key(error)))?;
            let identity = Identity {
                key,
                chain: state.identity.chain.clone(),
                trusted,
            };
            self.replace(&mut state, identity)?;
        }
        if !addresses.is_empty() && addresses != state.settings.addresses {
            let settings = Settings {
                addresses: addresses.clone(),
                ..state.settings.clone()
            };
            settings
                .write(&self.places.settings())
                .map_err(RenewalError::Settings)?;
            state.settings = settings;
            self.addresses.send_replace(addresses);
        }
        Ok(())
    }

    fn replace(&self, state: &mut State, identity: Identity) -> Result<(), RenewalError> {
        let fleet = &state.settings.fleet;
        let credentials =
            credentials(&identity, fleet, self.clock.now()).map_err(RenewalError::Credentials)?;
        let name = &credentials.peer().identity;
        if *name != Name::Host(fleet.clone(), state.settings.host_id) {
            return Err(RenewalError::OtherHost(name.clone()));
        }
        identity
            .write(&self.places.identity())
            .map_err(RenewalError::Store)?;
        state.identity = identity;
        self.published.send_replace(Arc::new(credentials));
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ders(raw: &[Bytes]) -> Vec<CertificateDer<'static>> {
    raw.iter()
        .map(|der| CertificateDer::from(der.to_vec()))
        .collect()
}
