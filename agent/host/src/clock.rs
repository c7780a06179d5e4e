//! The host's clocks.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

/// The clocks that foundry tells apart.
pub trait Clock: Send + Sync {
    /// CLOCK_MONOTONIC: does not count sleep. For the deadlines of steps.
    fn monotonic(&self) -> Duration;

    /// CLOCK_BOOTTIME: counts sleep too. For the deadlines of jobs, with the boot id beside it.
    fn boottime(&self) -> Duration;

    /// The wall clock: a fact to be shown and compared, never a deadline.
    fn wall(&self) -> SystemTime;
}

/// The kernel's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct KernelClock;

// === impl KernelClock ===

impl Clock for KernelClock {
    fn monotonic(&self) -> Duration {
        read(ClockId::Monotonic)
    }

    fn boottime(&self) -> Duration {
        read(ClockId::Boottime)
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + read(ClockId::Realtime)
    }
}

fn read(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanoseconds = u32::try_from(now.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanoseconds)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::{Clock, KernelClock};

    #[test]
    fn boottime_is_never_behind_monotonic() {
        let monotonic = KernelClock.monotonic();
        assert!(KernelClock.boottime() >= monotonic);
        assert!(KernelClock.monotonic() >= monotonic);
    }

    #[test]
    fn the_wall_clock_is_the_systems() {
        let before = SystemTime::now();
        let wall = KernelClock.wall();
        assert!(wall >= before && wall <= SystemTime::now());
    }
}
