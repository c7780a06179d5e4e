//! Names and places on a host that more than one part must agree on.

/// The agent's systemd unit.
pub const AGENT_UNIT: &str = "foundry-agent.service";

/// Where agent binaries lie: `<AGENTS_DIR>/<sha256>/bin/foundry-agent`.
pub const AGENTS_DIR: &str = "/opt/foundry/agents";

/// Everything under /opt that is ours.
pub const OPT_DIR: &str = "/opt/foundry";

/// Configuration of the agent and of what it runs.
pub const CONFIG_DIR: &str = "/etc/foundry";

/// The agent's own configuration, within [`CONFIG_DIR`].
pub const AGENT_CONFIG: &str = "agent.json";

/// The agent's state: ledger, key, certificate.
pub const STATE_DIR: &str = "/var/lib/foundry";

/// The agent's runtime folder: its local socket.
pub const RUN_DIR: &str = "/run/foundry";

/// Where unit files are written.
pub const UNIT_DIR: &str = "/etc/systemd/system";

/// Label of a container, a volume or a network that foundry made: its value is the fleet.
pub const LABEL_FLEET: &str = "foundry.fleet";

/// Label of a container: the name of its service.
pub const LABEL_SERVICE: &str = "foundry.service";

/// Label of a container: digest of the settings that it was made from.
pub const LABEL_SETTINGS: &str = "foundry.settings";

/// The port that the controller listens on for agents.
pub const AGENT_PORT: u16 = 7443;

/// Unit and container of a service.
pub fn service_unit_stem(service: &str) -> String {
    format!("foundry-{service}")
}
