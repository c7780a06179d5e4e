//! What bootstrapping takes from this machine.

use std::ffi::OsString;

use camino::Utf8PathBuf;

use crate::cli::Environment;

/// The ssh program, where agents lie, what children may not see.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program and its first arguments.
    pub ssh: Vec<String>,
    /// Folders with `foundry-agent-<arch>`, in the order to be looked at.
    pub agent_dirs: Vec<Utf8PathBuf>,
    /// Where compressed agents are kept.
    pub cache: Utf8PathBuf,
    /// Variables that no child may have.
    pub secret_variables: Vec<OsString>,
}

// === impl Settings ===

impl Settings {
    /// As the environment says.
    pub fn of(environment: &Environment) -> Self {
        let beside = std::env::current_exe()
            .ok()
            .and_then(|path| Utf8PathBuf::from_path_buf(path).ok());
        let beside = beside.as_ref().and_then(|path| path.parent());
        let installed = beside.map(|folder| folder.join("../lib/foundry/agents"));
        let dirs = [
            environment.agent_dir.clone(),
            beside.map(ToOwned::to_owned),
            installed,
        ];
        Self {
            ssh: environment
                .ssh
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            agent_dirs: dirs.into_iter().flatten().collect(),
            cache: environment.home.join("cache").join("agents"),
            secret_variables: environment.secret_variables.clone(),
        }
    }
}
