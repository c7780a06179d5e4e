//! `storage:`

use std::fmt;

use serde::{Serialize, Serializer};

use super::text::Text;

/// `storage:`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Storage {
    /// A TrueNAS machine for datasets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truenas: Option<TrueNas>,
}

/// `storage.truenas:`
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct TrueNas {
    /// `wss://nas.example.com/api/current`
    pub url: String,
    /// Shown only where it is a reference.
    #[serde(serialize_with = "unless_literal")]
    pub api_key: Text,
    /// The pool in which datasets are made.
    pub pool: String,
}

/// Stands for a secret that was written out in the file.
pub(crate) const REDACTED: &str = "***";

/// What may be shown of a text that is secret: the reference, but not the secret itself.
pub(crate) fn shown(text: &Text) -> &str {
    if text.as_literal().is_some() {
        REDACTED
    } else {
        text.as_source()
    }
}

fn unless_literal<S: Serializer>(text: &Text, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(shown(text))
}

impl fmt::Debug for TrueNas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrueNas")
            .field("url", &self.url)
            .field("api_key", &shown(&self.api_key))
            .field("pool", &self.pool)
            .finish()
    }
}
