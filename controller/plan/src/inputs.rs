//! What a plan is made from.

use std::collections::BTreeSet;

use bytes::Bytes;
use foundry_proto::agent::v1 as wire;
use foundry_proto::{AssignmentName, Digest, Hostname};
use prost::Message as _;

pub use foundry_proto::agent::v1::{Phase, TaskDiff as ObservedTask};

/// Everything that [`crate::plan`] looks at.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// What is to be reached.
    pub goal: Goal,
    /// With [`Goal::Remove`], and for orphans with `prune`: data folders go too.
    pub purge: bool,
    /// Orphans are removed, not only listed.
    pub prune: bool,
    /// What the plan is limited to.
    pub selection: Selection,
    /// The hosts of the file, in its order, each as it was seen.
    pub hosts: Vec<HostView>,
    /// Enrolled hosts that the file does not name.
    pub strangers: Vec<Hostname>,
    /// What the whole file wants, the selection not yet applied: what is missing here is an orphan.
    pub desired: Vec<Desired>,
    /// What should be said beside the plan.
    pub warnings: Vec<String>,
}

/// What is to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Goal {
    /// Make it so.
    #[default]
    Install,
    /// Take away what the selection names.
    Remove,
    /// Put back what was changed by hand, and nothing else.
    Fix,
}

/// What a plan is limited to. Empty sets select everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// By hostname.
    pub hosts: BTreeSet<String>,
    /// By the name of the service.
    pub services: BTreeSet<String>,
    /// By the name of the component.
    pub components: BTreeSet<String>,
}

/// An assignment on a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Where.
    pub host: Hostname,
    /// What.
    pub assignment: AssignmentName,
}

/// What one host should have under one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// Where.
    pub host: Hostname,
    /// Under which name.
    pub name: AssignmentName,
    /// What `content` says.
    pub assignment: wire::Assignment,
    /// The bytes that travel and are stored.
    pub content: Bytes,
    /// Covers exactly `content`.
    pub digest: Digest,
    /// What must be reached first, on this host or another.
    pub after: Vec<Place>,
}

/// A host of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct HostView {
    /// Its name.
    pub host: Hostname,
    /// What is known of it.
    pub view: View,
}

/// What is known of a host.
#[derive(Debug, Clone, PartialEq)]
pub enum View {
    /// It has no agent of this fleet.
    NotEnrolled,
    /// It does not answer: it is planned from the last known state.
    Unreachable {
        /// Why, for people.
        reason: String,
        /// What it had when it last spoke, and what has been stored for it since.
        known: Vec<Known>,
    },
    /// It answered.
    Observed {
        /// What it says that it has, and what is stored for it beside that.
        known: Vec<Known>,
        /// What it found for each assignment that it was asked about.
        observed: Vec<Observation>,
    },
}

/// What a host says that it has under a name: the controller's record of a `Holding`. Where it has nothing, what is stored
/// for it until it takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Under which name.
    pub name: AssignmentName,
    /// The newest that it accepted, or that is stored for it.
    pub revision: u64,
    /// Of that revision's content.
    pub digest: Digest,
    /// How far it came; unspecified where it is only stored.
    pub phase: Phase,
    /// The host has nothing under this name, and takes this revision when it is delivered.
    pub stored: bool,
    /// Cause, where the phase is a failure.
    pub message: String,
}

/// The answer of a host to one assignment that it was asked to compare.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// Under which name.
    pub name: AssignmentName,
    /// One for each task; [`wire::TaskDiff`].
    pub tasks: Vec<ObservedTask>,
    /// It could not be observed at all; empty: it could.
    pub error: String,
}

/// A selector that names nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("--{kind} {name} matches nothing")]
pub struct Unmatched {
    /// `host`, `service` or `component`.
    pub kind: &'static str,
    /// As asked for.
    pub name: String,
    /// What there is of this kind.
    pub known: Vec<String>,
}

// === impl Selection ===

impl Selection {
    /// Whether it names services or components, and so not everything on a host.
    pub fn is_by_name(&self) -> bool {
        !self.services.is_empty() || !self.components.is_empty()
    }

    /// Whether the plan reaches this host.
    pub fn takes_host(&self, host: &Hostname) -> bool {
        self.hosts.is_empty() || self.hosts.contains(host.as_str())
    }

    /// Whether the plan reaches this assignment, on hosts that it reaches.
    pub fn takes_assignment(&self, name: &AssignmentName) -> bool {
        if !self.is_by_name() {
            return true;
        }
        match name.as_service() {
            Some(service) => self.services.contains(service),
            None => self.components.contains(name.as_str()),
        }
    }

    /// Selectors that name nothing of this. Worth asking before hosts are.
    pub fn unmatched<'n>(
        &self,
        hosts: impl IntoIterator<Item = &'n str>,
        assignments: impl IntoIterator<Item = &'n AssignmentName>,
    ) -> Vec<Unmatched> {
        let hosts: BTreeSet<&str> = hosts.into_iter().collect();
        let (mut services, mut components) = (BTreeSet::new(), BTreeSet::new());
        for name in assignments {
            match name.as_service() {
                Some(service) => services.insert(service),
                None => components.insert(name.as_str()),
            };
        }
        [
            ("host", &self.hosts, hosts),
            ("service", &self.services, services),
            ("component", &self.components, components),
        ]
        .into_iter()
        .flat_map(|(kind, selectors, known)| {
            let missing: Vec<String> = selectors
                .iter()
                .filter(|name| !known.contains(name.as_str()))
                .cloned()
                .collect();
            let known: Vec<String> = known.into_iter().map(str::to_owned).collect();
            missing.into_iter().map(move |name| Unmatched {
                kind,
                name,
                known: known.clone(),
            })
        })
        .collect()
    }

    /// Whether the plan reaches this assignment on this host.
    pub fn takes(&self, host: &Hostname, name: &AssignmentName) -> bool {
        self.takes_host(host) && self.takes_assignment(name)
    }
}

// === impl Unmatched ===

impl Unmatched {
    /// What could be named instead.
    pub fn hint(&self) -> String {
        match self.known.as_slice() {
            [] => format!("there is no {}", self.kind),
            known => format!("{}s: {}", self.kind, known.join(", ")),
        }
    }
}

// === impl Desired ===

impl Desired {
    /// Encodes an assignment; its name must be the assignment's own.
    pub fn new(host: Hostname, name: AssignmentName, assignment: wire::Assignment) -> Self {
        let content = Bytes::from(assignment.encode_to_vec());
        let digest = Digest::of(&content);
        Self {
            host,
            name,
            assignment,
            content,
            digest,
            after: Vec::new(),
        }
    }
}

/// What a host is sent so that it takes an assignment away.
pub fn removal(host: Hostname, name: AssignmentName, purge: bool) -> Desired {
    let assignment = wire::Assignment {
        name: name.as_str().to_owned(),
        removed: true,
        purge,
        ..wire::Assignment::default()
    };
    Desired::new(host, name, assignment)
}
