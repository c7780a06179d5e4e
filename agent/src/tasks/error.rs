//! Why a task did not come about.

use std::time::Duration;

use camino::Utf8PathBuf;
use foundry_host::containers::ContainersError;
use foundry_host::exec::ExecError;
use foundry_host::files::FilesError;
use foundry_host::packages::PackagesError;
use foundry_host::ports::PortsError;
use foundry_host::systemd::SystemdError;

use super::context::ArtifactError;

/// Why a task could not be observed, applied or removed.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// This agent does not know the kind, a value or the level.
    #[error("not supported by this agent: {0}")]
    Unsupported(String),
    /// A value that no task may have.
    #[error("{0}")]
    Invalid(String),
    /// Something that is not ours is in the way.
    #[error("{0}")]
    Blocked(String),
    /// The work was given up.
    #[error("cancelled")]
    Cancelled,
    /// An artifact is missing.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// A file operation.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The service manager.
    #[error(transparent)]
    Systemd(#[from] SystemdError),
    /// The container runtime.
    #[error(transparent)]
    Containers(#[from] ContainersError),
    /// The package manager.
    #[error(transparent)]
    Packages(#[from] PackagesError),
    /// A program.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// The list of sockets.
    #[error(transparent)]
    Ports(#[from] PortsError),
    /// A unit does not run as it should.
    #[error("{unit} {state}{}", LastLines(lines))]
    Unit {
        /// The unit.
        unit: String,
        /// Its state with result and exit status: `failed (exit-code 1)`.
        state: String,
        /// The last lines of its journal.
        lines: Vec<String>,
    },
    /// A unit runs, but its health check did not pass in time.
    #[error("{unit} is not healthy after {} s: {cause}{}", limit.as_secs(), LastLines(lines))]
    Unhealthy {
        /// The unit.
        unit: String,
        /// How long it had.
        limit: Duration,
        /// What the probe said last.
        cause: String,
        /// The last lines of its journal.
        lines: Vec<String>,
    },
    /// The runtime's command-line program is missing.
    #[error("{runtime} answers, but its command-line program `{runtime}` is not installed")]
    NoProgram {
        /// The runtime.
        runtime: String,
    },
    /// The image that was pulled or loaded is another one.
    #[error("image {reference} is {found}, which is none of {wanted}")]
    OtherImage {
        /// Its name.
        reference: String,
        /// What it is.
        found: String,
        /// What it should be.
        wanted: String,
    },
    /// What was applied is not what is there.
    #[error("applied, but still different: {0}")]
    NotAchieved(String),
    /// None of the names is known to the package manager.
    #[error("no package of the name {names} can be installed")]
    NoPackage {
        /// The names.
        names: String,
    },
    /// A command ran, and its guard still says that it has to.
    #[error("{program} ended well, but its guard says to {guard}")]
    Guard {
        /// The program.
        program: String,
        /// What the guard says.
        guard: String,
    },
    /// Something is in a folder that was to be removed.
    #[error("{0} is not empty")]
    NotEmpty(Utf8PathBuf),
}

struct LastLines<'a>(&'a [String]);

// === impl LastLines ===

impl std::fmt::Display for LastLines<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for line in self.0 {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}

// === impl TaskError ===

impl TaskError {
    /// Whether another attempt may go better: what is not supported, not valid or blocked stays so.
    pub fn is_transient(&self) -> bool {
        !matches!(
            self,
            Self::Unsupported(_) | Self::Invalid(_) | Self::Blocked(_) | Self::Cancelled
        )
    }
}
