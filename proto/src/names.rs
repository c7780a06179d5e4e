//! Names and ids that were checked: what comes over the wire becomes one of these before it is used.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// The name of a fleet with its random suffix: `production-7f3a9c`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FleetId(String);

/// The random id of an enrolled host, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostId(Uuid);

/// The stable name of a host in stack.yaml: a DNS label or several, lower-case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hostname(String);

/// What a host can have something under: `openbao`, `service/whoami`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AssignmentName(String);

/// What is wrong with a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing is there, or too much.
    #[error("`{name}` is {length} characters long; {what} has 1 to {most}")]
    Length {
        /// The name as given.
        name: String,
        /// Its kind, with an article.
        what: &'static str,
        /// Its length.
        length: usize,
        /// The longest that is taken.
        most: usize,
    },
    /// A character that is not taken.
    #[error("`{name}` is not {what}: {rule}")]
    Form {
        /// The name as given.
        name: String,
        /// Its kind, with an article.
        what: &'static str,
        /// What would be taken.
        rule: &'static str,
    },
}

const LABEL_RULE: &str = "lower-case letters, digits and dashes, a letter or digit at both ends";

/// Whether the text is made of lower-case letters, digits and dashes, with no dash at either end.
fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn check(
    name: &str,
    what: &'static str,
    most: usize,
    rule: &'static str,
    form: impl FnOnce(&str) -> bool,
) -> Result<String, NameError> {
    if name.is_empty() || name.len() > most {
        let length = name.chars().count();
        return Err(NameError::Length {
            name: name.chars().take(80).collect(),
            what,
            length,
            most,
        });
    }
    if !form(name) {
        return Err(NameError::Form {
            name: name.to_owned(),
            what,
            rule,
        });
    }
    Ok(name.to_owned())
}

// === impl FleetId ===

impl FleetId {
    /// A new fleet of this name, with a random suffix. The name is cut and cleaned to what a fleet id takes.
    pub fn generate(name: &str) -> Self {
        let clean: String = name
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_lowercase()
                } else {
                    '-'
                }
            })
            .take(40)
            .collect();
        let clean = clean.trim_matches('-');
        let clean = if clean.is_empty() { "fleet" } else { clean };
        let suffix = Uuid::new_v4().simple().to_string();
        Self(format!("{clean}-{}", &suffix[..6]))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FleetId {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        check(name, "a fleet", 63, LABEL_RULE, is_label).map(Self)
    }
}

// === impl HostId ===

impl HostId {
    /// A new id.
    pub fn generate() -> Self {
        Self(Uuid::new_v4())
    }
}

impl FromStr for HostId {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        const RULE: &str = "32 lower-case hexadecimal digits";
        let form = |text: &str| text.len() == 32 && !text.bytes().any(|b| b.is_ascii_uppercase());
        let name = check(name, "a host id", 32, RULE, form)?;
        Uuid::try_parse(&name)
            .map(Self)
            .map_err(|_| NameError::Form {
                name,
                what: "a host id",
                rule: RULE,
            })
    }
}

// === impl Hostname ===

impl Hostname {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Hostname {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        let form = |text: &str| {
            text.split('.')
                .all(|label| label.len() <= 63 && is_label(label))
        };
        check(name, "a hostname", 253, LABEL_RULE, form).map(Self)
    }
}

// === impl AssignmentName ===

impl AssignmentName {
    /// The assignment of a service of the user's.
    pub fn service(name: &str) -> Result<Self, NameError> {
        format!("service/{name}").parse()
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the service, where it is one.
    pub fn as_service(&self) -> Option<&str> {
        self.0.strip_prefix("service/")
    }
}

impl FromStr for AssignmentName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        let form = |text: &str| text.split('/').count() <= 2 && text.split('/').all(is_label);
        check(name, "an assignment", 80, LABEL_RULE, form).map(Self)
    }
}

macro_rules! display_as_text {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

display_as_text!(FleetId, Hostname, AssignmentName);

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{AssignmentName, FleetId, HostId, Hostname};

    #[test]
    fn a_generated_id_reads_back() {
        let fleet = FleetId::generate("Production (EU)");
        assert_eq!(fleet.as_str().parse(), Ok(fleet.clone()));
        assert!(fleet.as_str().starts_with("production--eu-"), "{fleet}");
        let host = HostId::generate();
        assert_eq!(host.to_string().parse(), Ok(host));
    }

    #[test]
    fn paths_and_odd_characters_are_no_names() {
        for bad in [
            "", "..", "../etc", "a/b/c", "A", "a_b", "-a", "a-", "a//b", "/a", "é",
        ] {
            assert!(bad.parse::<AssignmentName>().is_err(), "{bad}");
        }
        assert!("service/who-am-i".parse::<AssignmentName>().is_ok());
        assert!("node1.example.com".parse::<Hostname>().is_ok());
        assert!("node1..com".parse::<Hostname>().is_err());
        assert!("0".repeat(31).parse::<HostId>().is_err());
    }
}
