use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::clock::Clock;

/// How long the host has been up when the clock is made.
const UPTIME: Duration = Duration::from_secs(1000);

/// The wall clock then.
const WALL: Duration = Duration::from_secs(1_800_000_000);

/// Clocks that follow tokio's, paused or not.
pub struct FakeClock {
    start: Instant,
}

// === impl FakeClock ===

impl FakeClock {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Clock for FakeClock {
    fn monotonic(&self) -> Duration {
        UPTIME + self.start.elapsed()
    }

    fn boottime(&self) -> Duration {
        self.monotonic()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + WALL + self.start.elapsed()
    }
}
