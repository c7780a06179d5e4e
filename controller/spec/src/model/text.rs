//! Strings that may refer to secrets.
//!
//! A reference is never resolved here: what is stored and printed is the reference, not the secret.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A string with `${secret:path:key}` in it, or without.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Text {
    source: String,
    secrets: Vec<SecretRef>,
}

/// `${secret:path:key}`, resolved late, within the instance at hand.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretRef {
    /// Below the instance: `truenas`, `db/main`.
    pub path: String,
    /// The field of the secret.
    pub key: String,
}

/// A reference that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// No closing brace.
    #[error("`{0}` has no closing brace")]
    Open(String),
    /// Not path and key.
    #[error("`{0}` is not a secret reference: it is written ${{secret:path:key}}")]
    Form(String),
}

const OPENING: &str = "${secret";

// === impl Text ===

impl Text {
    /// As written in the file, references unresolved.
    pub fn as_source(&self) -> &str {
        &self.source
    }

    /// The string itself, where it refers to no secret.
    pub fn as_literal(&self) -> Option<&str> {
        self.secrets.is_empty().then_some(&self.source)
    }

    /// The secrets that it refers to, in the order in which they stand.
    pub fn secrets(&self) -> &[SecretRef] {
        &self.secrets
    }
}

impl FromStr for Text {
    type Err = TextError;

    fn from_str(source: &str) -> Result<Self, TextError> {
        let mut secrets = Vec::new();
        let mut rest = source;
        while let Some(start) = rest.find(OPENING) {
            let opened = &rest[start..];
            let end = opened
                .find('}')
                .ok_or_else(|| TextError::Open(opened.chars().take(40).collect()))?;
            let whole = &opened[..=end];
            secrets.push(SecretRef::read(whole).ok_or_else(|| TextError::Form(whole.to_owned()))?);
            rest = &opened[end + 1..];
        }
        Ok(Self {
            source: source.to_owned(),
            secrets,
        })
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.source)
    }
}

// === impl SecretRef ===

impl SecretRef {
    /// Path and key of `${secret:path:key}`.
    fn read(whole: &str) -> Option<Self> {
        let inner = whole
            .strip_prefix(OPENING)?
            .strip_suffix('}')?
            .strip_prefix(':')?;
        let (path, key) = inner.split_once(':')?;
        let is_name = |name: &str| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
                && !name.bytes().all(|b| b == b'.')
        };
        (path.split('/').all(is_name) && is_name(key)).then(|| Self {
            path: path.to_owned(),
            key: key.to_owned(),
        })
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${{secret:{}:{}}}", self.path, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::{Text, TextError};

    #[test]
    fn references_are_found_in_order() {
        let text: Text = "a ${secret:db/main:user}:${secret:db/main:password} b"
            .parse()
            .unwrap();
        let found: Vec<_> = text.secrets().iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            ["${secret:db/main:user}", "${secret:db/main:password}"]
        );
        assert_eq!(text.as_literal(), None);
    }

    #[test]
    fn other_dollars_are_text() {
        for plain in ["", "$HOME", "${HOME}", "$${x}", "100 $"] {
            let text: Text = plain.parse().unwrap();
            assert_eq!(text.as_literal(), Some(plain));
        }
    }

    #[test]
    fn broken_references_are_refused() {
        assert!(matches!(
            "x ${secret:a:b".parse::<Text>(),
            Err(TextError::Open(_))
        ));
        for bad in [
            "${secret}",
            "${secret:}",
            "${secret:a}",
            "${secret::b}",
            "${secret:a:}",
            "${secret:a:b:c}",
            "${secret:../a:b}",
            "${secret:/a:b}",
            "${secret:a b:c}",
            "${secrets:a:b}",
        ] {
            assert!(
                matches!(bad.parse::<Text>(), Err(TextError::Form(_))),
                "{bad}"
            );
        }
    }
}
