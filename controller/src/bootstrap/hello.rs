//! What the far side says about its host.

use foundry_proto::Digest;

/// A host, before anything is changed on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hello {
    /// As `uname -m` says.
    pub architecture: String,
    /// Name of process 1.
    pub init: String,
    /// Its version; none: the host does not run systemd.
    pub systemd: Option<u32>,
    /// As `uname -r` says.
    pub kernel: String,
    /// The host's clock, in seconds since 1970.
    pub clock: i64,
    /// The agent that it has.
    pub agent: Option<Digest>,
    /// The enrolment that it has.
    pub enrolled: Option<Enrolled>,
    /// This machine's address as the host sees it.
    pub client: String,
}

/// An enrolment as the host keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Enrolled {
    /// The fleet.
    pub fleet: String,
    /// The host's id in it.
    pub host_id: String,
    /// Since when, in seconds since 1970; 0: not known.
    pub since: i64,
}

// === impl Hello ===

impl Hello {
    /// Reads `key=value …`. What is missing is empty; unknown keys are for newer versions.
    pub(super) fn parse(text: &str) -> Self {
        let mut hello = Self::default();
        let mut since = 0;
        for (key, value) in text
            .split_ascii_whitespace()
            .filter_map(|word| word.split_once('='))
        {
            match key {
                "arch" => hello.architecture = value.to_owned(),
                "init" => hello.init = value.to_owned(),
                "systemd" => hello.systemd = value.parse().ok(),
                "kernel" => hello.kernel = value.to_owned(),
                "clock" => hello.clock = value.parse().unwrap_or_default(),
                "agent" => hello.agent = value.parse().ok(),
                "enrolled" => hello.enrolled = Enrolled::parse(value),
                "since" => since = value.parse().unwrap_or_default(),
                "client" => hello.client = value.to_owned(),
                _ => {}
            }
        }
        if let Some(enrolled) = &mut hello.enrolled {
            enrolled.since = since;
        }
        hello
    }
}

// === impl Enrolled ===

impl Enrolled {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let (fleet, host_id) = (parts.next()?, parts.next()?);
        Some(Self {
            fleet: fleet.to_owned(),
            host_id: host_id.to_owned(),
            since: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Hello;

    #[test]
    fn a_bare_host_has_neither_agent_nor_fleet() {
        let hello = Hello::parse(
            "arch=x86_64 uid=0 init=systemd systemd=252 kernel=6.1.0-18-amd64 clock=1700000000 \
             agent=none enrolled=none since=0 client=198.18.0.1",
        );
        assert_eq!((hello.systemd, hello.clock), (Some(252), 1_700_000_000));
        assert_eq!((hello.agent, hello.enrolled), (None, None));
        assert_eq!(hello.client, "198.18.0.1");
    }

    #[test]
    fn an_enrolled_host_names_fleet_and_since() {
        let digest = "ab".repeat(32);
        let hello = Hello::parse(&format!(
            "agent={digest} enrolled=demo-1a2b3c/0123/2 since=1700000000"
        ));
        let enrolled = hello.enrolled.unwrap();
        assert_eq!(
            (enrolled.fleet.as_str(), enrolled.host_id.as_str()),
            ("demo-1a2b3c", "0123")
        );
        assert_eq!(enrolled.since, 1_700_000_000);
        assert!(hello.agent.is_some());
    }

    #[test]
    fn no_systemd_is_seen() {
        assert_eq!(Hello::parse("init=runit systemd=none").systemd, None);
    }
}
