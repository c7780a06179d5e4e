//! The hosts of the fleet: who they are, how they come in and how they go.

mod enrol;
mod remove;

use std::time::Duration;

use foundry_proto::operator::v1::{AwaitHostRequest, HostRecord};
use foundry_proto::{Digest, HostId, Hostname};
use tokio::time::Instant;

use super::Engine;
use super::clock::now_ms;
use super::error::EngineError;
use super::view::HostView;

/// How long a host is awaited, unless somebody said otherwise.
const AWAIT: Duration = Duration::from_secs(30);
/// Names that are this similar are named as what may have been meant.
const SIMILAR: f64 = 0.7;

impl Engine {
    /// All hosts, by name.
    pub fn list_hosts(&self) -> Vec<HostRecord> {
        let mut hosts = Vec::new();
        let now_ms = now_ms();
        self.inner
            .core
            .view
            .for_each(|id, host| hosts.push(record(id, host, now_ms)));
        for host in hosts.iter_mut().filter(|host| host.connected) {
            host.seen_age_ms = self.seen_age_ms(&host.id).or(host.seen_age_ms);
        }
        hosts.sort_by(|a, b| a.hostname.cmp(&b.hostname));
        hosts
    }

    /// Waits until a host has a session, with an agent of this digest where one is asked for.
    pub async fn await_host(&self, request: AwaitHostRequest) -> Result<HostRecord, EngineError> {
        let wait = match request.timeout_ms {
            0 => AWAIT,
            ms => Duration::from_millis(ms),
        };
        let until = Instant::now() + wait;
        let view = &self.inner.core.view;
        let mut news = view.watch_all();
        let mut ever = false;
        loop {
            let is_there = |host: &HostView| {
                let right = request.agent_digest.is_empty()
                    || request.agent_digest == host.row.agent_digest;
                host.connected_ms.is_some() && right
            };
            if let Some(id) = view.by_name(&request.hostname) {
                ever = true;
                let look = |host: &HostView| is_there(host).then(|| record(id, host, now_ms()));
                if let Some(record) = view.read(id, look).flatten() {
                    return Ok(record);
                }
            }
            tokio::select! {
                _ = news.changed() => {}
                () = self.inner.stop.cancelled() => return Err(EngineError::Ending),
                () = tokio::time::sleep_until(until) => {
                    return Err(if ever {
                        EngineError::HostAway { hostname: request.hostname }
                    } else {
                        self.no_host(&request.hostname)
                    });
                }
            }
        }
    }

    /// The host of this name, which must be enrolled.
    pub(super) fn host(&self, hostname: &str) -> Result<HostId, EngineError> {
        let _: Hostname = hostname.parse()?;
        self.inner
            .core
            .view
            .by_name(hostname)
            .ok_or_else(|| self.no_host(hostname))
    }

    fn no_host(&self, hostname: &str) -> EngineError {
        let names = self.inner.core.view.names().into_keys();
        let mut near: Vec<_> = names
            .map(|name| (strsim::jaro_winkler(&name, hostname), name))
            .filter(|(likeness, _)| *likeness > SIMILAR)
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        let near = near.into_iter().take(3).map(|(_, name)| name).collect();
        EngineError::NoHost {
            hostname: hostname.to_owned(),
            near,
        }
    }

    /// How long ago a connected host was last heard.
    pub(super) fn seen_age_ms(&self, id: &str) -> Option<u64> {
        let session = self.inner.listener.session(id.parse().ok()?)?;
        u64::try_from(session.seen().as_millis()).ok()
    }
}

fn record(id: HostId, host: &HostView, now_ms: u64) -> HostRecord {
    let row = &host.row;
    HostRecord {
        id: id.to_string(),
        hostname: row.hostname.clone(),
        address: row.address.clone(),
        connected: host.connected_ms.is_some(),
        seen_age_ms: (host.seen_ms > 0).then(|| now_ms.saturating_sub(host.seen_ms)),
        enrolled_ms: row.enrolled_ms,
        agent_version: row.agent_version.clone(),
        agent_digest: Digest::try_from(&row.agent_digest)
            .map(Digest::to_bytes)
            .unwrap_or_default(),
        facts: row.facts.clone(),
        epoch: row.epoch,
        certificate_expires_ms: row.certificate_expires_ms,
        labels: row.labels.clone(),
    }
}
