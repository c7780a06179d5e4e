//! The time that certificates are judged by.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

/// When this program was built, in seconds since 1970: no clock that says less is right.
const BUILT: &str = env!("FOUNDRY_BUILD_TIME");

/// The latest of the system's clock, the time of the build, and what the caller knows to have passed.
///
/// A host that starts without a battery-backed clock says 1970; with a floor it can still reach its controller.
#[derive(Debug)]
pub struct Clock {
    floor: AtomicU64,
}

// === impl Clock ===

impl Clock {
    /// A clock that never says less than `floor`.
    pub fn new(floor: SystemTime) -> Self {
        let built = BUILT.parse().unwrap_or_default();
        let clock = Self {
            floor: AtomicU64::new(built),
        };
        clock.raise(floor);
        clock
    }

    /// This time is known to have passed.
    pub fn raise(&self, floor: SystemTime) {
        let seconds = floor
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        self.floor.fetch_max(seconds, Ordering::Relaxed);
    }

    /// The time.
    pub fn now(&self) -> SystemTime {
        let floor = UNIX_EPOCH + Duration::from_secs(self.floor.load(Ordering::Relaxed));
        SystemTime::now().max(floor)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new(UNIX_EPOCH)
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let since = self.now().duration_since(UNIX_EPOCH).ok()?;
        Some(UnixTime::since_unix_epoch(since))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::Clock;

    #[test]
    fn the_clock_never_falls_below_what_is_known() {
        let ahead = SystemTime::now() + Duration::from_secs(3600);
        let clock = Clock::new(ahead);
        assert!(clock.now() >= ahead - Duration::from_secs(1));
        clock.raise(UNIX_EPOCH);
        assert!(clock.now() >= ahead - Duration::from_secs(1));
        assert!(Clock::default().now() <= SystemTime::now());
    }
}
