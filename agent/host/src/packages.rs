//! The package manager of the distribution.

mod host;
mod locks;
mod manager;

use async_trait::async_trait;

pub use host::HostPackages;

use crate::containers::ProgressFn;
use crate::exec::ExecError;

/// The package manager of the host.
#[async_trait]
pub trait Packages: Send + Sync {
    /// Its name: `apt`, `dnf`, `zypper`; none: there is none that foundry knows.
    async fn manager(&self) -> Option<&'static str>;

    /// The installed version of the package.
    async fn installed(&self, name: &str) -> Result<Option<String>, PackagesError>;

    /// Whether the package can be installed from what is configured.
    async fn available(&self, name: &str) -> Result<bool, PackagesError>;

    /// Reads the lists of what there is anew.
    async fn refresh(&self, progress: ProgressFn<'_>) -> Result<(), PackagesError>;

    /// Installs the package; one that is installed is not upgraded.
    async fn install(&self, name: &str, progress: ProgressFn<'_>) -> Result<(), PackagesError>;

    /// Removes the package, not its configuration.
    async fn remove(&self, name: &str, progress: ProgressFn<'_>) -> Result<(), PackagesError>;
}

/// What went wrong with packages.
#[derive(Debug, thiserror::Error)]
pub enum PackagesError {
    /// Neither apt, dnf nor zypper is there.
    #[error("no package manager that foundry knows (apt, dnf, zypper)")]
    None,
    /// The package manager failed.
    #[error("{manager}: cannot {action} {package}")]
    Run {
        /// The package manager.
        manager: &'static str,
        /// What was to be done.
        action: &'static str,
        /// The package, or what else it was about.
        package: String,
        /// Why it was not.
        #[source]
        source: ExecError,
    },
    /// Another process holds the package manager's lock.
    #[error("{manager}: locked by {holder}")]
    Locked {
        /// The package manager.
        manager: &'static str,
        /// The process that holds it: `unattended-upgr (pid 812)`.
        holder: String,
    },
}
