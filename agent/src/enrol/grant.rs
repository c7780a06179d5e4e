//! What was granted, checked before anything is done with it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use foundry_link::pki::{HostKey, Peer};
use foundry_link::tls::Clock;
use foundry_proto::agent::v1::{EnrolGrant, enrol_result::Kind};
use foundry_proto::{FleetId, HostId, Hostname, Identity as Name};
use rustls::pki_types::CertificateDer;
use tokio::sync::watch;

use super::Trouble;
use crate::config::{HmacKey, Identity, Settings};
use crate::error_chain::ErrorChain;
use crate::ledger::millis;
use crate::renewal;
use crate::session::{Dialer, try_addresses};

/// A clock that is off by more than this is named instead of worked with.
const MOST_OFF: Duration = Duration::from_secs(12 * 3600);

/// A grant that holds: the identity was checked with the real verifier.
pub(super) struct Granted {
    pub(super) settings: Settings,
    pub(super) identity: Identity,
    dialer: Dialer,
}

/// Checks the grant against the key that it is for and against this host's clock.
pub(super) fn check(key: HostKey, grant: EnrolGrant, now: SystemTime) -> Result<Granted, Trouble> {
    let fleet: FleetId = grant.fleet.parse().map_err(invalid("fleet"))?;
    let host_id: HostId = grant.host_id.parse().map_err(invalid("host id"))?;
    let hostname: Hostname = grant.hostname.parse().map_err(invalid("hostname"))?;
    if grant.addresses.is_empty() {
        return Err(Trouble::new(
            Kind::Unreachable,
            "no address of the controller is known",
        ));
    }
    let identity = Identity {
        key,
        chain: ders(&grant.chain),
        trusted: ders(&grant.trusted_cas),
    };
    check_clock(&identity, now)?;
    let clock = Arc::new(Clock::new(now));
    let credentials = renewal::credentials(&identity, &fleet, clock.now())
        .map_err(|error| Trouble::new(Kind::Failed, ErrorChain(&error)))?;
    let name = &credentials.peer().identity;
    if *name != Name::Host(fleet.clone(), host_id) {
        return Err(Trouble::new(
            Kind::Failed,
            format!("the certificate is of {name}"),
        ));
    }
    // Nobody publishes newer ones here: the dialer keeps what it has.
    let (_, credentials) = watch::channel(Arc::new(credentials));
    let addresses = grant.addresses;
    let dialer = Dialer {
        addresses: addresses.clone(),
        credentials,
        fleet: fleet.clone(),
        clock,
    };
    let settings = Settings {
        fleet,
        host_id,
        hostname,
        epoch: grant.epoch,
        addresses,
        hmac_key: HmacKey(grant.hmac_key.to_vec()),
        since_ms: millis(now.duration_since(UNIX_EPOCH).unwrap_or_default()),
    };
    Ok(Granted {
        settings,
        identity,
        dialer,
    })
}

/// The certificate was made a moment ago, so its dates tell the controller's time.
fn check_clock(identity: &Identity, now: SystemTime) -> Result<(), Trouble> {
    let leaf = identity.chain.first();
    let leaf = leaf.ok_or_else(|| Trouble::new(Kind::Failed, "the grant has no certificate"))?;
    let peer = Peer::of(leaf).map_err(|error| Trouble::new(Kind::Failed, ErrorChain(&error)))?;
    let (off, way) = match peer.issued().duration_since(now) {
        Ok(behind) => (behind, "behind"),
        Err(ahead) => (ahead.duration(), "ahead of"),
    };
    if off > MOST_OFF {
        let hours = off.as_secs() / 3600;
        let message = format!("the clock of this host is {hours} h {way} the controller's");
        return Err(Trouble::new(Kind::Clock, message));
    }
    Ok(())
}

fn invalid<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> Trouble {
    move |error| {
        Trouble::new(
            Kind::Failed,
            format!("the {what} in the grant is not one: {error}"),
        )
    }
}

fn ders(raw: &[Bytes]) -> Vec<CertificateDer<'static>> {
    raw.iter()
        .map(|der| CertificateDer::from(der.to_vec()))
        .collect()
}

// === impl Granted ===

impl Granted {
    /// The first address that answers as the controller of the fleet.
    pub(super) async fn try_addresses(&self) -> Result<String, Trouble> {
        try_addresses(&self.dialer).await.map_err(|failures| {
            let causes: Vec<_> = failures
                .iter()
                .map(|(address, error)| {
                    format!(
                        "{address} is not reachable from this host: {}",
                        ErrorChain(error)
                    )
                })
                .collect();
            Trouble::new(Kind::Unreachable, causes.join("\n"))
        })
    }
}
