//! What is to be enrolled, and how.

use foundry_proto::FleetId;
use foundry_spec::{Address, Become, Host, Reach};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// A set of hosts for one fleet.
#[derive(Debug, Clone)]
pub struct Order {
    /// Their fleet.
    pub fleet: FleetId,
    /// In the order of the file.
    pub targets: Vec<Target>,
    /// `controller.advertise` of the file.
    pub advertise: Vec<String>,
    /// Trust keys of hosts that are not known yet.
    pub accept_new_host_keys: bool,
    /// Enrol hosts that belong to another fleet.
    pub take_over: bool,
    /// How many hosts at a time.
    pub parallel: u16,
    /// For sudo.
    pub password: Option<SecretString>,
}

/// A host as ssh reaches it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its stable name.
    pub hostname: String,
    /// What ssh dials; `local` is this machine.
    pub address: String,
    /// None: ssh decides.
    pub user: Option<String>,
    /// None: ssh decides.
    pub port: Option<u16>,
    /// How root is become: `auto`, `sudo`, `none`.
    pub become_root: String,
    /// Its agent dials the controller, in whatever way.
    pub dials: bool,
    /// As `key=value`, sorted.
    pub labels: Vec<String>,
}

// === impl Target ===

impl Target {
    /// A host of the file.
    pub fn of(host: &Host) -> Self {
        Self {
            hostname: host.hostname.to_string(),
            address: host.address.to_string(),
            user: host.user.clone(),
            port: host.port,
            become_root: match host.become_root {
                Become::Auto => "auto",
                Become::Sudo => "sudo",
                Become::None => "none",
            }
            .to_owned(),
            dials: host.reach != Reach::Ssh,
            labels: host
                .labels
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect(),
        }
    }

    /// It is the machine that this runs on.
    pub(super) fn is_local(&self) -> bool {
        self.address == Address::Local.as_str()
    }
}
