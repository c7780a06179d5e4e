//! Published ports.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// `[address:]host:container[/udp]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port {
    /// Where on the host; none: on all addresses.
    pub address: Option<IpAddr>,
    /// On the host.
    pub host: u16,
    /// In the container.
    pub container: u16,
    /// TCP unless `/udp` follows.
    pub protocol: Protocol,
}

/// What a port speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// The default.
    Tcp,
    /// `/udp`
    Udp,
}

/// Text that publishes no port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` does not publish a port: it is written [address:]host:container[/udp], such as `8080:80`"
)]
pub struct PortError(String);

// === impl Port ===

impl Port {
    /// Whether both cannot be published on one host.
    pub fn collides_with(&self, other: &Self) -> bool {
        let overlap = match (self.address, other.address) {
            (Some(one), Some(another)) => {
                one == another || one.is_unspecified() || another.is_unspecified()
            }
            (None, _) | (_, None) => true,
        };
        self.host == other.host && self.protocol == other.protocol && overlap
    }

    fn read(given: &str) -> Option<Self> {
        let (ports, protocol) = match given.split_once('/') {
            None | Some((_, "tcp")) => (given.split('/').next()?, Protocol::Tcp),
            Some((ports, "udp")) => (ports, Protocol::Udp),
            Some(_) => return None,
        };
        let (host, container) = ports.rsplit_once(':')?;
        let (address, host) = match host.rsplit_once(':') {
            Some((address, host)) => (Some(read_address(address)?), host),
            None => (None, host),
        };
        Some(Self {
            address,
            host: number(host)?,
            container: number(container)?,
            protocol,
        })
    }
}

fn read_address(text: &str) -> Option<IpAddr> {
    match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse().ok().map(IpAddr::V6),
        None => text.parse().ok().map(IpAddr::V4),
    }
}

fn number(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port > 0)
}

impl FromStr for Port {
    type Err = PortError;

    fn from_str(given: &str) -> Result<Self, PortError> {
        Self::read(given).ok_or_else(|| PortError(given.to_owned()))
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:")?,
            Some(IpAddr::V4(address)) => write!(f, "{address}:")?,
            None => {}
        }
        write!(f, "{}:{}", self.host, self.container)?;
        match self.protocol {
            Protocol::Tcp => Ok(()),
            Protocol::Udp => f.write_str("/udp"),
        }
    }
}

impl Serialize for Port {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

// === impl Protocol ===

impl Protocol {
    /// `tcp` or `udp`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Port;

    #[test]
    fn ports_read_back() {
        for good in [
            "8080:80",
            "127.0.0.1:8080:80",
            "[::1]:53:53/udp",
            "53:53/udp",
        ] {
            assert_eq!(good.parse::<Port>().unwrap().to_string(), good);
        }
        assert_eq!("1:2/tcp".parse::<Port>().unwrap().to_string(), "1:2");
    }

    #[test]
    fn what_publishes_nothing() {
        for bad in [
            "",
            "80",
            "0:80",
            "80:0",
            "65536:1",
            "+1:2",
            "a:b",
            "::1:80:80",
            "host:1:2",
            "1:2/sctp",
            "1:2:",
        ] {
            assert!(bad.parse::<Port>().is_err(), "{bad}");
        }
    }

    #[test]
    fn collisions() {
        let port = |text: &str| text.parse::<Port>().unwrap();
        assert!(port("80:1").collides_with(&port("80:2")));
        assert!(port("127.0.0.1:80:1").collides_with(&port("80:2")));
        assert!(port("0.0.0.0:80:1").collides_with(&port("127.0.0.1:80:2")));
        assert!(!port("127.0.0.1:80:1").collides_with(&port("127.0.0.2:80:2")));
        assert!(!port("80:1").collides_with(&port("80:1/udp")));
    }
}
