//! Where things are in the work tree.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

/// The target that agents are built for.
pub(crate) const MUSL: &str = "x86_64-unknown-linux-musl";
/// The profile that they are built with.
pub(crate) const AGENT_PROFILE: &str = "dist-agent";

/// Folders of the work tree.
pub(crate) struct Places {
    /// The workspace.
    pub(crate) root: Utf8PathBuf,
    /// Cargo's output.
    pub(crate) target: Utf8PathBuf,
}

// === impl Places ===

impl Places {
    pub(crate) fn find() -> Result<Self> {
        let root = Utf8Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .canonicalize_utf8()?;
        let target = match std::env::var("CARGO_TARGET_DIR") {
            Ok(target) => root.join(target),
            Err(_) => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// Where the agents lie for bootstrap: `FOUNDRY_AGENT_DIR`.
    pub(crate) fn agents(&self) -> Utf8PathBuf {
        self.target.join("agents")
    }

    /// A static binary of the agent's profile.
    pub(crate) fn musl_binary(&self, name: &str) -> Utf8PathBuf {
        self.target.join(MUSL).join(AGENT_PROFILE).join(name)
    }

    /// The virtual environment with the prebuilt cargo tools.
    pub(crate) fn tools(&self) -> Utf8PathBuf {
        self.target.join("tools")
    }

    /// Where the demo keeps its state.
    pub(crate) fn demo(&self) -> Utf8PathBuf {
        self.target.join("demo")
    }
}
