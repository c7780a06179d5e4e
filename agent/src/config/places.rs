//! The folders of the agent, and the files in them.

use camino::{Utf8Path, Utf8PathBuf};
use foundry_proto::layout;

/// Where the agent's things lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// `/etc/foundry`: settings, and the configuration of what the agent runs.
    pub config: Utf8PathBuf,
    /// `/var/lib/foundry`: ledger, identity, artifacts.
    pub state: Utf8PathBuf,
    /// `/opt/foundry`: the agent's binaries.
    pub opt: Utf8PathBuf,
    /// `/etc/systemd/system`: unit files.
    pub units: Utf8PathBuf,
    /// `/run/foundry`: what a reboot may take.
    pub runtime: Utf8PathBuf,
}

// === impl Places ===

impl Default for Places {
    /// The places on a real host.
    fn default() -> Self {
        Self {
            config: layout::CONFIG_DIR.into(),
            state: layout::STATE_DIR.into(),
            opt: layout::OPT_DIR.into(),
            units: layout::UNIT_DIR.into(),
            runtime: layout::RUN_DIR.into(),
        }
    }
}

impl Places {
    /// The same places below another root, for tests and fleets within one process.
    pub fn below(root: &Utf8Path) -> Self {
        let below = |path: &str| root.join(path.trim_start_matches('/'));
        let Self {
            config,
            state,
            opt,
            units,
            runtime,
        } = Self::default();
        Self {
            config: below(config.as_str()),
            state: below(state.as_str()),
            opt: below(opt.as_str()),
            units: below(units.as_str()),
            runtime: below(runtime.as_str()),
        }
    }

    /// The agent's settings, 0600.
    pub fn settings(&self) -> Utf8PathBuf {
        self.config.join(layout::AGENT_CONFIG)
    }

    /// One line that anybody may read: which fleet this host belongs to.
    pub fn enrolment(&self) -> Utf8PathBuf {
        self.config.join("enrolment")
    }

    /// Folder of key and certificate, 0700.
    pub fn identity(&self) -> Utf8PathBuf {
        self.state.join("identity")
    }

    /// Folder of the ledger, 0700.
    pub fn ledger(&self) -> Utf8PathBuf {
        self.state.join("ledger")
    }

    /// Folder of the artifacts, each named by its digest.
    pub fn artifacts(&self) -> Utf8PathBuf {
        self.state.join("artifacts")
    }

    /// Folder of the agent's binaries.
    pub fn agents(&self) -> Utf8PathBuf {
        self.opt.join("agents")
    }

    /// The agent's unit file.
    pub fn unit(&self) -> Utf8PathBuf {
        self.units.join(layout::AGENT_UNIT)
    }
}
