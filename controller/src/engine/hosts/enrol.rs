//! Letting a host in.
//!
//! The command line stands in the host's SSH session and brings what the agent wrote there: a request for a certificate, of
//! which only the public key is used. When this answers, the host is stored and its key is admitted.

use aws_lc_rs::rand;
use bytes::Bytes;
use foundry_link::pki::{HOST_LIFETIME, HostPublicKey};
use foundry_proto::agent::v1::Refusal;
use foundry_proto::operator::v1::{EnrolReply, EnrolRequest};
use foundry_proto::{HostId, Hostname};
use zeroize::Zeroizing;

use super::super::Engine;
use super::super::advertise::{self, Ways};
use super::super::clock::now_ms;
use super::super::core::admitted;
use super::super::error::{EngineError, date};
use crate::store::HostRow;

/// How long a key for HMACs is, in bytes.
const HMAC_KEY_LENGTH: usize = 32;
/// A row that others change at the same time is read and changed again this often.
const TRIES: usize = 5;

impl Engine {
    /// Enrols a host, or enrols it again: a name keeps its id, each enrolment has its epoch and its key.
    pub async fn enrol(&self, request: EnrolRequest) -> Result<EnrolReply, EngineError> {
        let hub = self.inner.listener.ensure().await?;
        let core = &self.inner.core;
        let hostname: Hostname = request.hostname.parse()?;
        refuse_elsewhere(core.fleet.as_str(), &request)?;
        let key = HostPublicKey::from_csr(&request.csr)?;
        let addresses = self.addresses(&request, hub.local_addr().port()).await?;

        let mut tries = 0;
        let (id, row, chain) = loop {
            let known = core.store.hosts.by_name(&hostname).await?;
            let (id, mut row, version) = match known {
                Some((id, row, version)) => (id, row, Some(version)),
                None => (HostId::generate(), self.new_row(&hostname), None),
            };
            let now = core.clock.now();
            let chain = core
                .authorities
                .fleet()
                .issue_host(&key, &core.fleet, id, now)?;
            if row.sealed_hmac_key.is_empty() {
                row.sealed_hmac_key = core.store.hosts.seal_hmac_key(id, &*new_hmac_key()?)?;
            }
            row.address.clone_from(&request.address);
            row.facts = request.facts.clone().or(row.facts);
            row.labels.clone_from(&request.labels);
            row.epoch += 1;
            row.enrolled_ms = now_ms();
            row.certificate_expires_ms = row.enrolled_ms + millis(HOST_LIFETIME);
            row.admit_only(key.fingerprint());
            match core.store.hosts.put(id, &row, version).await {
                Err(error) if error.is_conflict() && tries < TRIES => tries += 1,
                result => {
                    result?;
                    break (id, row, chain);
                }
            }
        };
        core.admission.insert(id, admitted(&row));
        if row.epoch > 1 {
            hub.cut(id, Refusal::OldEpoch);
        }
        core.view.put_row(id, row.clone());
        if row.epoch > 1 {
            // Whoever waits for the host now waits for its new session.
            core.view.update(id, |host| host.gone(now_ms()));
        }
        let again = if row.epoch > 1 { "again, " } else { "" };
        core.note(
            hostname.as_str(),
            "enrolled",
            format!("{again}epoch {}", row.epoch),
        )
        .await;

        let der = |der: &[u8]| Bytes::copy_from_slice(der);
        let hmac_key = core.store.hosts.open_hmac_key(id, &row)?;
        Ok(EnrolReply {
            fleet: core.fleet.to_string(),
            host_id: id.to_string(),
            chain: chain.iter().map(|certificate| der(certificate)).collect(),
            trusted_cas: vec![der(core.authorities.fleet().certificate_der())],
            addresses,
            hmac_key: Bytes::copy_from_slice(&hmac_key),
            epoch: row.epoch,
        })
    }

    fn new_row(&self, hostname: &Hostname) -> HostRow {
        HostRow {
            hostname: hostname.to_string(),
            ..HostRow::default()
        }
    }

    async fn addresses(
        &self,
        request: &EnrolRequest,
        port: u16,
    ) -> Result<Vec<String>, EngineError> {
        let core = &self.inner.core;
        if !request.advertise.is_empty() {
            core.set_advertise(advertise::complete(&request.advertise, port))
                .await?;
        }
        let addresses = advertise::addresses(Ways {
            advertise: &core.advertise(),
            host: &request.address,
            seen: &request.seen_address,
            guessed: &advertise::guessed(port),
            port,
        });
        if addresses.is_empty() {
            return Err(EngineError::NoAddress {
                hostname: request.hostname.clone(),
            });
        }
        Ok(addresses)
    }
}

/// A host of another fleet stays there unless it is to be taken over.
fn refuse_elsewhere(fleet: &str, request: &EnrolRequest) -> Result<(), EngineError> {
    match &request.current {
        Some(current) if current.fleet != fleet && !request.take_over => {
            Err(EngineError::EnrolledElsewhere {
                hostname: request.hostname.clone(),
                fleet: current.fleet.clone(),
                since: date(current.since_ms),
            })
        }
        _ => Ok(()),
    }
}

fn new_hmac_key() -> Result<Zeroizing<[u8; HMAC_KEY_LENGTH]>, EngineError> {
    let mut key = Zeroizing::new([0; HMAC_KEY_LENGTH]);
    rand::fill(key.as_mut_slice()).map_err(|_| EngineError::Random)?;
    Ok(key)
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
