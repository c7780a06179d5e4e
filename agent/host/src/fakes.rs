//! In-memory doubles of the traits.
//!
//! They share names and places with the real ones: a unit is there when its file is under the folder that systemd reads,
//! and starting a unit whose command line runs a container makes that container, with the labels that stand there.

mod clock;
mod containers;
mod exec;
mod files;
mod packages;
mod ports;
mod systemd;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use clock::FakeClock;
pub use containers::{FakeContainers, FakeRuntimes};
pub use exec::FakeExec;
pub use files::FakeFiles;
pub use packages::FakePackages;
pub use ports::FakePorts;
pub use systemd::{Behaviour, FakeSystemd};

use crate::Host;

/// A host in memory, each part at hand.
pub struct FakeHost {
    /// Units.
    pub systemd: Arc<FakeSystemd>,
    /// A Docker that answers, until it is told not to.
    pub runtimes: Arc<FakeRuntimes>,
    /// Files.
    pub files: Arc<FakeFiles>,
    /// Packages.
    pub packages: Arc<FakePackages>,
    /// Programs.
    pub exec: Arc<FakeExec>,
    /// Listeners.
    pub ports: Arc<FakePorts>,
    /// Follows tokio's clock, so that paused time is the host's time too.
    pub clock: Arc<FakeClock>,
}

// === impl FakeHost ===

impl FakeHost {
    /// A bare host with Docker.
    #[expect(clippy::new_without_default, reason = "a test says that it makes one")]
    pub fn new() -> Self {
        let files = Arc::new(FakeFiles::new());
        let runtimes = Arc::new(FakeRuntimes::new());
        let clock = Arc::new(FakeClock::new());
        let systemd = FakeSystemd::new(
            Arc::clone(&files),
            Arc::clone(runtimes.containers()),
            Arc::clone(&clock),
        );
        Self {
            systemd: Arc::new(systemd),
            runtimes,
            files,
            packages: Arc::default(),
            exec: Arc::default(),
            ports: Arc::default(),
            clock,
        }
    }

    /// The bundle that tasks take.
    pub fn host(&self) -> Host {
        Host {
            systemd: Arc::clone(&self.systemd) as _,
            runtimes: Arc::clone(&self.runtimes) as _,
            files: Arc::clone(&self.files) as _,
            packages: Arc::clone(&self.packages) as _,
            exec: Arc::clone(&self.exec) as _,
            ports: Arc::clone(&self.ports) as _,
            clock: Arc::clone(&self.clock) as _,
        }
    }
}

/// A test that panicked elsewhere is no reason to panic here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
