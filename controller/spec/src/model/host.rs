//! `hosts:`

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::names::{Hostname, Label};

/// A machine that belongs to the fleet, or shall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Host {
    /// Its stable name.
    pub hostname: Hostname,
    /// How ssh reaches it.
    pub address: Address,
    /// Left out: ssh decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Left out: ssh decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How root is become.
    #[serde(rename = "become")]
    pub become_root: Become,
    /// Its part in the Kubernetes cluster; left out: by position.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// How agent and controller come together.
    pub reach: Reach,
    /// For selectors.
    pub labels: BTreeMap<Label, Label>,
    /// Where the stack's own traffic goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internal: Option<IpAddr>,
}

/// How a host is reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// The admin machine itself (`address: local`).
    Local,
    /// An IP address, a DNS name or an alias of ssh_config.
    Ssh(String),
}

/// How root is become on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Become {
    /// By sudo unless the login is root's.
    #[default]
    Auto,
    /// By sudo.
    Sudo,
    /// Not at all: the login must be root's.
    None,
}

/// A host's part in the Kubernetes cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A server that runs no workloads.
    ControlPlane,
    /// An agent.
    Worker,
    /// A server that runs workloads too.
    ControlPlaneAndWorker,
}

/// How agent and controller come together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// The agent dials; where it cannot, its traffic goes over ssh.
    #[default]
    Auto,
    /// The agent dials.
    Dial,
    /// Over ssh only.
    Ssh,
}

/// Text that is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// `user@host`
    #[error("`{0}` names a user: that is a key of its own, `user:`")]
    User(String),
    /// `ssh://host`
    #[error("`{0}` is a URL: write the host alone, and `user:` and `port:` beside it")]
    Url(String),
    /// `host:22`
    #[error("`{0}` names a port: that is a key of its own, `port:`")]
    Port(String),
    /// Anything else.
    #[error("`{0}` is neither an IP address, a host name, an alias of ssh_config nor `local`")]
    Form(String),
}

// === impl Address ===

impl Address {
    /// As the file spells it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Local => "local",
            Self::Ssh(destination) => destination,
        }
    }

    /// The address where it is an IP address.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Local => None,
            Self::Ssh(destination) => destination.parse().ok(),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(given: &str) -> Result<Self, AddressError> {
        if given == "local" {
            return Ok(Self::Local);
        }
        let bare = given
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        if let Ok(ip) = bare.unwrap_or(given).parse::<IpAddr>() {
            return Ok(Self::Ssh(ip.to_string()));
        }
        let owned = || given.to_owned();
        if given.contains("://") {
            return Err(AddressError::Url(owned()));
        }
        if given.contains('@') {
            return Err(AddressError::User(owned()));
        }
        if given
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
        {
            return Err(AddressError::Port(owned()));
        }
        // A leading dash would be an option of ssh. `%` is the zone of a link-local address.
        let form = !given.is_empty()
            && given.len() <= 253
            && !given.starts_with('-')
            && given
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.:%".contains(&b));
        if form {
            Ok(Self::Ssh(owned()))
        } else {
            Err(AddressError::Form(owned()))
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

macro_rules! keyword {
    ($($name:ident { $($variant:ident = $text:literal),* })*) => {$(
        impl $name {
            /// Each value with its spelling in the file.
            pub(crate) const ALL: &[(&'static str, Self)] = &[$(($text, Self::$variant)),*];

            /// As the file spells it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),*
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    )*};
}

keyword! {
    Become { Auto = "auto", Sudo = "sudo", None = "none" }
    Role {
        ControlPlane = "control-plane",
        Worker = "worker",
        ControlPlaneAndWorker = "control-plane+worker"
    }
    Reach { Auto = "auto", Dial = "dial", Ssh = "ssh" }
}

#[cfg(test)]
mod tests {
    use super::{Address, AddressError};

    #[test]
    fn addresses_that_ssh_takes() {
        for good in [
            "192.168.1.20",
            "node1",
            "web_1.example.com",
            "fe80::1%eth0",
            "localhost",
        ] {
            let address: Address = good.parse().unwrap();
            assert_eq!(address, Address::Ssh(good.to_owned()));
        }
        assert_eq!("local".parse(), Ok(Address::Local));
        assert_eq!(
            "[2001:DB8::1]".parse(),
            Ok(Address::Ssh("2001:db8::1".to_owned()))
        );
    }

    #[test]
    fn what_belongs_elsewhere_is_said() {
        assert!(matches!(
            "root@a".parse::<Address>(),
            Err(AddressError::User(_))
        ));
        assert!(matches!(
            "ssh://a".parse::<Address>(),
            Err(AddressError::Url(_))
        ));
        assert!(matches!(
            "a:22".parse::<Address>(),
            Err(AddressError::Port(_))
        ));
        for bad in ["", "-oProxyCommand=x", "a b", "a;b", "ä"] {
            assert!(
                matches!(bad.parse::<Address>(), Err(AddressError::Form(_))),
                "{bad}"
            );
        }
    }
}
