//! How a service's health is told.

use std::net::{IpAddr, SocketAddr};

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::model::quantity::Span;

/// `health:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// What is asked.
    pub probe: Probe,
    /// How often; left out: the agent's default.
    pub interval: Option<Span>,
    /// How long an answer may take; left out: the agent's default.
    pub timeout: Option<Span>,
}

/// What is asked, on the host itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// Healthy at any status from 200 to 399.
    Http(String),
    /// Healthy when it accepts.
    Tcp(String),
    /// Healthy at exit 0: an absolute program and its arguments.
    Command(Vec<String>),
}

/// A probe that the agent could not carry out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// Not `http://`.
    #[error("`{0}` is not a URL to probe: it is written http://127.0.0.1:8080/path")]
    Url(String),
    /// A name: the agent resolves none.
    #[error("`{0}` is neither an IP address nor localhost: the agent resolves no names")]
    Name(String),
    /// Not `address:port`.
    #[error("`{0}` is not a TCP probe: it is written address:port, such as 127.0.0.1:5432")]
    Tcp(String),
    /// No program, or a relative one.
    #[error("a probe's command begins with the absolute path of a program")]
    Command,
}

// === impl Health ===

impl Serialize for Health {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match &self.probe {
            Probe::Http(url) => map.serialize_entry("http", url)?,
            Probe::Tcp(address) => map.serialize_entry("tcp", address)?,
            Probe::Command(argv) => map.serialize_entry("command", argv)?,
        }
        for (name, span) in [("interval", self.interval), ("timeout", self.timeout)] {
            if let Some(span) = span {
                map.serialize_entry(name, &span)?;
            }
        }
        map.end()
    }
}

// === impl Probe ===

impl Probe {
    /// An HTTP probe of an address.
    ///
    /// # Errors
    ///
    /// A URL that is none, or that needs a name resolved or TLS.
    pub fn http(url: &str) -> Result<Self, ProbeError> {
        let wrong = || ProbeError::Url(url.to_owned());
        let rest = url.strip_prefix("http://").ok_or_else(wrong)?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let plain = |c: char| c.is_ascii_graphic() && c != '#';
        if authority.is_empty() || authority.contains('@') || !path.chars().all(plain) {
            return Err(wrong());
        }
        if authority
            .parse::<SocketAddr>()
            .is_ok_and(|address| address.port() > 0)
        {
            return Ok(Self::Http(url.to_owned()));
        }
        let (host, port) = split_port(authority).ok_or_else(wrong)?;
        check_host(host)?;
        if port.is_some_and(|port| port.parse::<u16>().is_ok_and(|p| p > 0)) || port.is_none() {
            return Ok(Self::Http(url.to_owned()));
        }
        Err(wrong())
    }

    /// A TCP probe of `address:port`.
    ///
    /// # Errors
    ///
    /// Anything that is not an IP address or localhost with a port.
    pub fn tcp(address: &str) -> Result<Self, ProbeError> {
        let wrong = || ProbeError::Tcp(address.to_owned());
        let (host, port) = split_port(address).ok_or_else(wrong)?;
        if !port.is_some_and(|port| port.parse::<u16>().is_ok_and(|p| p > 0)) {
            return Err(wrong());
        }
        check_host(host)?;
        Ok(Self::Tcp(address.to_owned()))
    }

    /// A command run on the host.
    ///
    /// # Errors
    ///
    /// An empty one, or one whose program is not an absolute path.
    pub fn command(argv: Vec<String>) -> Result<Self, ProbeError> {
        match argv.first() {
            Some(program) if program.starts_with('/') => Ok(Self::Command(argv)),
            _ => Err(ProbeError::Command),
        }
    }
}

/// Host and port of `host[:port]`, brackets taken off.
fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return match rest {
            "" => Some((host, None)),
            _ => Some((host, Some(rest.strip_prefix(':')?))),
        };
    }
    match authority.split_once(':') {
        Some((host, port)) => Some((host, Some(port))),
        None => Some((authority, None)),
    }
}

fn check_host(host: &str) -> Result<(), ProbeError> {
    if host == "localhost" || host.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    Err(ProbeError::Name(host.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{Probe, ProbeError};

    #[test]
    fn probes_that_an_agent_can_carry_out() {
        for good in [
            "http://127.0.0.1:8080/health",
            "http://127.0.0.1",
            "http://[::1]:80/a?b=c",
            "http://[::1]/",
            "http://localhost:1/x",
        ] {
            assert_eq!(Probe::http(good), Ok(Probe::Http(good.to_owned())));
        }
        for good in ["127.0.0.1:5432", "[::1]:1", "localhost:22"] {
            assert_eq!(Probe::tcp(good), Ok(Probe::Tcp(good.to_owned())));
        }
        assert!(Probe::command(vec!["/bin/true".to_owned()]).is_ok());
    }

    #[test]
    fn probes_that_it_cannot() {
        for bad in [
            "",
            "127.0.0.1",
            "https://127.0.0.1/",
            "http://",
            "http://a@1.2.3.4/",
            "http://127.0.0.1:0/",
            "http://127.0.0.1/a b",
        ] {
            assert!(matches!(Probe::http(bad), Err(ProbeError::Url(_))), "{bad}");
        }
        assert!(matches!(
            Probe::http("http://db:1/"),
            Err(ProbeError::Name(_))
        ));
        for bad in ["", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "::1:80"] {
            assert!(matches!(Probe::tcp(bad), Err(ProbeError::Tcp(_))), "{bad}");
        }
        assert!(matches!(Probe::tcp("db:5432"), Err(ProbeError::Name(_))));
        assert_eq!(Probe::command(vec![]), Err(ProbeError::Command));
        assert_eq!(
            Probe::command(vec!["true".to_owned()]),
            Err(ProbeError::Command)
        );
    }
}
