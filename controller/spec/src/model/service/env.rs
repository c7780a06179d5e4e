//! The environment of a service.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::model::storage::shown;
use crate::model::text::Text;

/// Variables by name. Values that look like secrets by their name are never printed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Env(BTreeMap<String, Text>);

/// Parts of names whose values are secret.
const SECRET_WORDS: &[&str] = &[
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "SECRET",
    "TOKEN",
    "APIKEY",
    "API_KEY",
    "PRIVATE_KEY",
    "CREDENTIAL",
];

/// Whether a variable of this name holds a secret, as far as its name tells.
pub(crate) fn is_secret_name(name: &str) -> bool {
    // `…_FILE` names a place, by convention of many images.
    let name = name.to_ascii_uppercase();
    !name.ends_with("_FILE") && SECRET_WORDS.iter().any(|word| name.contains(word))
}

// === impl Env ===

impl Env {
    /// Sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Text)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&Text> {
        self.0.get(name)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn shown(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().map(|(name, value)| {
            (
                name,
                if is_secret_name(name) {
                    shown(value)
                } else {
                    value.as_source()
                },
            )
        })
    }
}

impl FromIterator<(String, Text)> for Env {
    fn from_iter<I: IntoIterator<Item = (String, Text)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

impl Serialize for Env {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.shown())
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.shown()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::Env;

    #[test]
    fn what_looks_like_a_secret_is_not_shown() {
        let env: Env = [
            ("DB_PASSWORD", "hunter2"),
            ("API_TOKEN", "${secret:api:token}"),
            ("DB_PASSWORD_FILE", "/run/secrets/db"),
            ("GREETING", "hello"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect();
        let shown = format!("{env:?} {}", serde_json::to_string(&env).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
        for kept in ["${secret:api:token}", "/run/secrets/db", "hello"] {
            assert_eq!(shown.matches(kept).count(), 2, "{shown}");
        }
    }
}
