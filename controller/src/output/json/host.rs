//! The hosts of the file and of the fleet.

use foundry_proto::operator::v1 as wire;
use serde::Serialize;

use super::plan::filled;
use crate::output::time;

/// Hosts.
#[derive(Debug, Clone, Serialize)]
pub struct HostsDocument {
    /// Those of the file in its order, then those that only the fleet knows.
    pub hosts: Vec<HostEntry>,
}

/// A host.
#[derive(Debug, Clone, Serialize)]
pub struct HostEntry {
    /// Its stable name.
    pub name: String,
    /// What ssh dials.
    pub address: Option<String>,
    /// It stands in the file.
    pub in_file: bool,
    /// The fleet knows it.
    pub enrolled: bool,
    /// Its agent's session is up.
    pub connected: bool,
    /// Since its last sign of life.
    pub seen_age_ms: Option<u64>,
    /// When it was enrolled.
    pub enrolled_at: Option<String>,
    /// Its random id.
    pub id: Option<String>,
    /// Of its agent.
    pub agent_version: Option<String>,
    /// As `uname -m` says.
    pub architecture: Option<String>,
    /// As /etc/os-release says.
    pub os: Option<String>,
    /// When its certificate ends.
    pub certificate_expires_at: Option<String>,
    /// Sorted.
    pub labels: Vec<String>,
}

/// A host that was taken out of the fleet.
#[derive(Debug, Clone, Serialize)]
pub struct RemovedDocument {
    /// Its name.
    pub host: String,
    /// It took foundry off itself; else it was only revoked.
    pub uninstalled: bool,
    /// What was left on it on purpose.
    pub kept: Vec<String>,
    /// What is left to be done.
    pub message: Option<String>,
}

// === impl HostEntry ===

impl HostEntry {
    /// A host of the file that no fleet knows.
    pub fn in_file(name: &str, address: String) -> Self {
        Self {
            name: name.to_owned(),
            address: Some(address),
            in_file: true,
            enrolled: false,
            connected: false,
            seen_age_ms: None,
            enrolled_at: None,
            id: None,
            agent_version: None,
            architecture: None,
            os: None,
            certificate_expires_at: None,
            labels: Vec::new(),
        }
    }

    /// What the fleet knows about a host.
    pub fn known(record: &wire::HostRecord) -> Self {
        let facts = record.facts.clone().unwrap_or_default();
        Self {
            name: record.hostname.clone(),
            address: filled(&record.address),
            in_file: false,
            enrolled: true,
            connected: record.connected,
            seen_age_ms: record.seen_age_ms,
            enrolled_at: time::moment(record.enrolled_ms),
            id: filled(&record.id),
            agent_version: filled(&record.agent_version),
            architecture: filled(&facts.architecture),
            os: filled(&facts.os_name),
            certificate_expires_at: time::moment(record.certificate_expires_ms),
            labels: record.labels.clone(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use foundry_proto::agent::v1::Facts;
    use foundry_proto::operator::v1 as wire;

    use super::{HostEntry, HostsDocument};

    pub(crate) fn sample() -> HostsDocument {
        let mut known = HostEntry::known(&wire::HostRecord {
            id: "0123456789abcdef0123456789abcdef".to_owned(),
            hostname: "node1".to_owned(),
            address: "192.0.2.7".to_owned(),
            connected: true,
            seen_age_ms: Some(800),
            enrolled_ms: 1_700_000_000_000,
            agent_version: "0.1.0".to_owned(),
            facts: Some(Facts {
                architecture: "x86_64".to_owned(),
                os_name: "Debian GNU/Linux 12 (bookworm)".to_owned(),
                ..Default::default()
            }),
            certificate_expires_ms: 1_731_536_000_000,
            ..Default::default()
        });
        known.in_file = true;
        HostsDocument {
            hosts: vec![known, HostEntry::in_file("node2", "192.0.2.8".to_owned())],
        }
    }

    #[test]
    fn the_shape_is_fixed() {
        insta::assert_json_snapshot!(sample());
    }
}
