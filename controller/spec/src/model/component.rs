//! `components:`

use std::fmt;

use serde::{Serialize, Serializer};

use super::config::Config;
use super::names::Hostname;

/// A part of the stack that the file declares.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Component {
    /// Which.
    #[serde(skip)]
    pub kind: ComponentKind,
    /// Left out: the version it has, or at first install a default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where it runs, with the default filled in; empty for what runs in Kubernetes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<Hostname>,
    /// Merged into its own configuration.
    #[serde(skip_serializing_if = "Config::is_empty")]
    pub config: Config,
    /// Merged under what a chart needs.
    #[serde(skip_serializing_if = "Config::is_empty")]
    pub values: Config,
}

/// The components that there are, in the order in which they depend on one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ComponentKind {
    /// Secrets.
    Openbao,
    /// Registry.
    Zot,
    /// Kubernetes.
    K3s,
    /// Ingress.
    Contour,
    /// Certificates within Kubernetes.
    CertManager,
}

// === impl ComponentKind ===

impl ComponentKind {
    /// All, in the order in which they depend on one another.
    pub const ALL: [Self; 5] = [
        Self::Openbao,
        Self::Zot,
        Self::K3s,
        Self::Contour,
        Self::CertManager,
    ];

    /// As the file spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Openbao => "openbao",
            Self::Zot => "zot",
            Self::K3s => "k3s",
            Self::Contour => "contour",
            Self::CertManager => "cert-manager",
        }
    }

    /// The component of this name; `certmanager` is taken too.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "certmanager" => Some(Self::CertManager),
            _ => Self::ALL.into_iter().find(|kind| kind.as_str() == name),
        }
    }
}

impl fmt::Display for ComponentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ComponentKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
