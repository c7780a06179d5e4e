//! `components:`

use std::fmt;

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use super::names::Hostname;
use super::text::Text;

/// A part of the stack that the file declares.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Component {
    /// Which.
    #[serde(rename = "name")]
    pub kind: ComponentKind,
    /// Left out: the version it has, or at first install a default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where it runs, with the default filled in.
    pub hosts: Vec<Hostname>,
    /// Merged into its own configuration.
    pub config: Vec<(String, Value)>,
    /// Merged under what a chart needs.
    pub values: Vec<(String, Value)>,
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

/// A piece of configuration that foundry passes on.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// A string.
    Text(Text),
    /// A sequence.
    List(Vec<Value>),
    /// A mapping, in the order of the file.
    Map(Vec<(String, Value)>),
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

// === impl Value ===

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Integer(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(text) => text.serialize(serializer),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                items
                    .iter()
                    .try_for_each(|item| list.serialize_element(item))?;
                list.end()
            }
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                entries
                    .iter()
                    .try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
        }
    }
}
