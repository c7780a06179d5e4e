//! The host as the agent sees it: systemd, container runtimes, files, packages, commands, ports, clocks.
//!
//! Each is a small trait, so that what is built on them is tested against doubles (feature `fakes`) and the real ones
//! stay thin. The real adapters start no tasks of their own, except that blocking file work runs on tokio's blocking
//! threads, and they hold no state but their connections.

pub mod clock;
pub mod containers;
pub mod exec;
#[cfg(feature = "fakes")]
pub mod fakes;
pub mod files;
pub mod packages;
pub mod ports;
pub mod systemd;

use std::sync::Arc;

use clock::KernelClock;
use containers::HostRuntimes;
use exec::Processes;
use files::HostFiles;
use packages::HostPackages;
use ports::ProcPorts;
use systemd::SystemBus;

pub use clock::Clock;
pub use containers::{Containers, Runtimes};
pub use exec::Exec;
pub use files::Files;
pub use packages::Packages;
pub use ports::Ports;
pub use systemd::Systemd;

/// Everything that tasks and health checks touch on a host.
pub struct Host {
    /// The service manager.
    pub systemd: Arc<dyn Systemd>,
    /// The container runtimes that are there, looked for again while none answers.
    pub runtimes: Arc<dyn Runtimes>,
    /// The file system.
    pub files: Arc<dyn Files>,
    /// The package manager.
    pub packages: Arc<dyn Packages>,
    /// Programs.
    pub exec: Arc<dyn Exec>,
    /// Who listens where.
    pub ports: Arc<dyn Ports>,
    /// The host's clocks.
    pub clock: Arc<dyn Clock>,
}

// === impl Host ===

impl Host {
    /// The host that this process runs on. Nothing is connected yet.
    pub fn this() -> Self {
        let exec: Arc<dyn Exec> = Arc::new(Processes);
        let systemd: Arc<dyn Systemd> = Arc::new(SystemBus::new(Arc::clone(&exec)));
        Self {
            runtimes: Arc::new(HostRuntimes::new(Arc::clone(&exec), Arc::clone(&systemd))),
            packages: Arc::new(HostPackages::new(Arc::clone(&exec))),
            files: Arc::new(HostFiles::new()),
            ports: Arc::new(ProcPorts),
            clock: Arc::new(KernelClock),
            systemd,
            exec,
        }
    }
}
