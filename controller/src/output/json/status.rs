//! What the hosts report.

use foundry_proto::operator::v1 as wire;
use serde::Serialize;

use super::plan::filled;

/// The state of a fleet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatusDocument {
    /// `healthy`, `degraded`, or `unknown`.
    pub overall: &'static str,
    /// In the order of the file.
    pub hosts: Vec<HostDocument>,
    /// In their order of installation.
    pub components: Vec<ComponentDocument>,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HostDocument {
    /// Its name in the file.
    pub name: String,
    /// What ssh dials.
    pub address: String,
    /// `healthy`, `degraded`, `stale`, `unreachable`, `unknown`, or `not_enrolled`.
    pub state: &'static str,
    /// Since its last sign of life.
    pub age_ms: Option<u64>,
    /// Of its agent.
    pub agent_version: Option<String>,
    /// What it should have.
    pub assignments: Vec<AssignmentDocument>,
    /// Why, where it is not healthy.
    pub message: Option<String>,
}

/// An assignment of a host. Accepted, achieved and healthy are three facts, each with its age.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AssignmentDocument {
    /// Its name.
    pub name: String,
    /// `pending`, `applying`, `achieved`, `failed`, `superseded`, `cancelled`, `unknown`, or `removing`.
    pub state: String,
    /// The revision that is wanted.
    pub revision: u64,
    /// The revision that the host has in its ledger.
    pub accepted: Option<u64>,
    /// Since then.
    pub accepted_age_ms: Option<u64>,
    /// The revision that was applied and verified.
    pub achieved: Option<u64>,
    /// Since then.
    pub achieved_age_ms: Option<u64>,
    /// What its probes say.
    pub healthy: Option<bool>,
    /// Since they last said so.
    pub healthy_age_ms: Option<u64>,
    /// Why, where it is not well.
    pub message: Option<String>,
}

/// A component of the stack.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComponentDocument {
    /// Its name.
    pub name: String,
    /// It is there.
    pub installed: bool,
    /// The version that is there.
    pub version: Option<String>,
    /// The version that would be installed.
    pub available: Option<String>,
    /// What its own interface says.
    pub healthy: Option<bool>,
    /// Why, where it is not.
    pub message: Option<String>,
}

// === impl StatusDocument ===

impl StatusDocument {
    /// The state of hosts that no fleet knows yet.
    pub fn not_enrolled<'a>(hosts: impl Iterator<Item = (&'a str, String)>) -> Self {
        let hosts = hosts.map(|(name, address)| HostDocument {
            name: name.to_owned(),
            address,
            state: host_state(wire::HostState::NotEnrolled),
            age_ms: None,
            agent_version: None,
            assignments: Vec::new(),
            message: None,
        });
        Self {
            overall: "unknown",
            hosts: hosts.collect(),
            components: Vec::new(),
        }
    }
}

impl From<&wire::StatusReport> for StatusDocument {
    fn from(report: &wire::StatusReport) -> Self {
        let overall = match report.overall() {
            wire::Overall::Healthy => "healthy",
            wire::Overall::Degraded => "degraded",
            wire::Overall::Unspecified | wire::Overall::Unknown => "unknown",
        };
        Self {
            overall,
            hosts: report.hosts.iter().map(HostDocument::from).collect(),
            components: report
                .components
                .iter()
                .map(ComponentDocument::from)
                .collect(),
        }
    }
}

impl From<&wire::HostStatus> for HostDocument {
    fn from(host: &wire::HostStatus) -> Self {
        Self {
            name: host.name.clone(),
            address: host.address.clone(),
            state: host_state(host.state()),
            age_ms: host.age_ms,
            agent_version: filled(&host.agent_version),
            assignments: host
                .assignments
                .iter()
                .map(AssignmentDocument::from)
                .collect(),
            message: filled(&host.message),
        }
    }
}

impl From<&wire::AssignmentStatus> for AssignmentDocument {
    fn from(assignment: &wire::AssignmentStatus) -> Self {
        Self {
            name: assignment.name.clone(),
            state: assignment.state.clone(),
            revision: assignment.revision,
            accepted: assignment.accepted,
            accepted_age_ms: assignment.accepted_age_ms,
            achieved: assignment.achieved,
            achieved_age_ms: assignment.achieved_age_ms,
            healthy: assignment.healthy,
            healthy_age_ms: assignment.healthy_age_ms,
            message: filled(&assignment.message),
        }
    }
}

impl From<&wire::ComponentStatus> for ComponentDocument {
    fn from(component: &wire::ComponentStatus) -> Self {
        Self {
            name: component.name.clone(),
            installed: component.installed,
            version: filled(&component.version),
            available: filled(&component.available),
            healthy: component.healthy,
            message: filled(&component.message),
        }
    }
}

pub(super) fn host_state(state: wire::HostState) -> &'static str {
    match state {
        wire::HostState::Unspecified | wire::HostState::Unknown => "unknown",
        wire::HostState::Healthy => "healthy",
        wire::HostState::Degraded => "degraded",
        wire::HostState::Stale => "stale",
        wire::HostState::Unreachable => "unreachable",
        wire::HostState::NotEnrolled => "not_enrolled",
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use foundry_proto::operator::v1 as wire;

    use super::StatusDocument;

    /// One healthy host, one that is gone, one that was never there.
    pub(crate) fn sample() -> StatusDocument {
        let host = |name: &str, state: wire::HostState, age_ms: Option<u64>| wire::HostStatus {
            name: name.to_owned(),
            address: "192.0.2.7".to_owned(),
            state: state.into(),
            age_ms,
            ..Default::default()
        };
        let mut first = host("node1", wire::HostState::Healthy, Some(1200));
        first.agent_version = "0.1.0".to_owned();
        first.assignments = vec![wire::AssignmentStatus {
            name: "service/whoami".to_owned(),
            state: "achieved".to_owned(),
            revision: 3,
            accepted: Some(3),
            accepted_age_ms: Some(60_000),
            achieved: Some(3),
            achieved_age_ms: Some(58_000),
            healthy: Some(true),
            healthy_age_ms: Some(12_000),
            message: String::new(),
        }];
        let mut second = host("node2", wire::HostState::Unreachable, Some(840_000));
        second.message = "no sign of life since 14 min".to_owned();
        let mut failed = first.assignments[0].clone();
        failed.state = "failed".to_owned();
        failed.achieved = Some(2);
        failed.healthy = Some(false);
        failed.message =
            "unit foundry-whoami.service: exit code 1\nlast line: no such file".to_owned();
        second.assignments = vec![failed];
        StatusDocument::from(&wire::StatusReport {
            overall: wire::Overall::Degraded.into(),
            hosts: vec![
                first,
                second,
                host("node3", wire::HostState::NotEnrolled, None),
            ],
            components: Vec::new(),
        })
    }

    #[test]
    fn the_shape_is_fixed() {
        insta::assert_json_snapshot!(sample());
    }
}
