//! Names that a file may give to things.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// What is wrong with a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not {what}: {rule}")]
pub struct NameError {
    given: String,
    what: &'static str,
    rule: &'static str,
}

/// The stable name of a host: one DNS label or several, lower-case, at most 253 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hostname(String);

/// The name of a user's service: a DNS label of at most 63 characters that no part of the stack has.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceName(String);

/// A fleet's name with its random suffix: `production-7f3a9c`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FleetName(String);

/// The scope of secrets: `foundry-core`, or a service's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Instance(String);

/// A key or a value of a host's `labels`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label(String);

/// Units and containers of the stack itself are named `foundry-<one of these>`.
const RESERVED: &[&str] = &[
    "agent",
    "cert-manager",
    "certmanager",
    "contour",
    "controller",
    "foundry",
    "k3s",
    "k3s-agent",
    "openbao",
    "truenas",
    "zot",
];

const LABEL_RULE: &str =
    "lower-case letters, digits and dashes, a letter or digit at both ends, at most 63 of them";

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn label(given: &str, what: &'static str) -> Result<String, NameError> {
    if is_label(given) {
        Ok(given.to_owned())
    } else {
        Err(NameError {
            given: given.to_owned(),
            what,
            rule: LABEL_RULE,
        })
    }
}

impl FromStr for Hostname {
    type Err = NameError;

    fn from_str(given: &str) -> Result<Self, NameError> {
        if given.len() <= 253 && given.split('.').all(is_label) {
            return Ok(Self(given.to_owned()));
        }
        let rule = "labels of lower-case letters, digits and dashes, joined by dots";
        Err(NameError {
            given: given.to_owned(),
            what: "a hostname",
            rule,
        })
    }
}

impl FromStr for ServiceName {
    type Err = NameError;

    fn from_str(given: &str) -> Result<Self, NameError> {
        if RESERVED.contains(&given) {
            let rule = "a part of the stack has this name";
            return Err(NameError {
                given: given.to_owned(),
                what: "a service's name",
                rule,
            });
        }
        label(given, "a service's name").map(Self)
    }
}

impl FromStr for FleetName {
    type Err = NameError;

    fn from_str(given: &str) -> Result<Self, NameError> {
        label(given, "a fleet").map(Self)
    }
}

impl FromStr for Instance {
    type Err = NameError;

    fn from_str(given: &str) -> Result<Self, NameError> {
        label(given, "an instance").map(Self)
    }
}

impl FromStr for Label {
    type Err = NameError;

    fn from_str(given: &str) -> Result<Self, NameError> {
        let form = given.len() <= 63
            && given
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b));
        if form {
            return Ok(Self(given.to_owned()));
        }
        let rule = "letters, digits and -_./, at most 63 of them";
        Err(NameError {
            given: given.to_owned(),
            what: "a label",
            rule,
        })
    }
}

macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl $name {
            /// As text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    )*};
}

as_text!(Hostname, ServiceName, FleetName, Instance, Label);

#[cfg(test)]
mod tests {
    use super::{FleetName, Hostname, Label, ServiceName};

    #[test]
    fn names_that_pass() {
        assert!("node1".parse::<Hostname>().is_ok());
        assert!("node1.eu.example.com".parse::<Hostname>().is_ok());
        assert!("whoami-2".parse::<ServiceName>().is_ok());
        assert!("production-7f3a9c".parse::<FleetName>().is_ok());
        assert!("rack/a_1.2".parse::<Label>().is_ok());
    }

    #[test]
    fn names_that_do_not() {
        for bad in [
            "", "Node1", "a_b", "-a", "a-", "a..b", ".a", "a b", "ä", "../x",
        ] {
            assert!(bad.parse::<Hostname>().is_err(), "{bad}");
            assert!(bad.parse::<ServiceName>().is_err(), "{bad}");
        }
        assert!("a".repeat(64).parse::<ServiceName>().is_err());
        assert!("a=b".parse::<Label>().is_err());
    }

    #[test]
    fn what_the_stack_is_made_of_is_no_service() {
        let error = "openbao".parse::<ServiceName>().unwrap_err().to_string();
        assert!(error.contains("a part of the stack"), "{error}");
    }
}
