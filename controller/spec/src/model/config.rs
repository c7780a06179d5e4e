//! Configuration that foundry passes on without knowing what it means.

use std::fmt;

use serde::{Serialize, Serializer};

use super::service::is_secret_name;
use super::storage::REDACTED;
use super::text::Text;

/// A mapping, in the order of the file. What looks like a secret by its key is never printed.
#[derive(Clone, PartialEq, Default)]
pub struct Config(Vec<(String, Value)>);

/// A piece of configuration.
#[derive(Clone, PartialEq)]
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
    /// A mapping.
    Map(Config),
}

/// A value under its key, as it may be shown.
struct Shown<'a>(&'a str, &'a Value);

// === impl Config ===

impl Config {
    /// Keys and values, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, Value)> for Config {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl Serialize for Config {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(key, value)| (key, Shown(key, value))))
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(key, value)| (key, Shown(key, value))))
            .finish()
    }
}

// === impl Shown ===

impl Shown<'_> {
    /// Whether the value is a secret that was written out.
    fn is_secret(&self) -> bool {
        let literal = match self.1 {
            Value::Text(text) => text.as_literal().is_some_and(|text| !text.is_empty()),
            Value::Integer(_) | Value::Float(_) | Value::List(_) => true,
            Value::Null | Value::Bool(_) | Value::Map(_) => false,
        };
        literal && is_secret_name(self.0)
    }
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_secret() {
            serializer.serialize_str(REDACTED)
        } else {
            self.1.serialize(serializer)
        }
    }
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_secret() {
            f.write_str(REDACTED)
        } else {
            self.1.fmt(f)
        }
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
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(config) => config.serialize(serializer),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(text) => text.as_source().fmt(f),
            Self::List(items) => items.fmt(f),
            Self::Map(config) => config.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, Value};

    #[test]
    fn what_looks_like_a_secret_is_not_shown() {
        let text = |text: &str| Value::Text(text.parse().unwrap());
        let entry = |key: &str, value| (key.to_owned(), value);
        let inner: Config = [
            entry("adminPassword", text("hunter2")),
            entry("token", text("${secret:k3s:token}")),
            entry("secretName", Value::Null),
        ]
        .into_iter()
        .collect();
        let outer: Config = [
            entry("pin-token", Value::Integer(4711)),
            entry("auth", Value::List(vec![Value::Map(inner)])),
            entry("flannel-backend", text("vxlan")),
        ]
        .into_iter()
        .collect();
        let shown = format!("{outer:?} {}", serde_json::to_string(&outer).unwrap());
        assert!(
            !shown.contains("hunter2") && !shown.contains("4711"),
            "{shown}"
        );
        for kept in ["${secret:k3s:token}", "vxlan"] {
            assert_eq!(shown.matches(kept).count(), 2, "{shown}");
        }
    }
}
