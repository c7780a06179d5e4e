//! Moments whose age is known also after a restart, of the agent or of the host.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use foundry_host::Clock;

/// A moment, by the three clocks that a host has: its calendar, its time since boot, and which boot that was.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Stamp {
    /// Milliseconds since 1970, as the host believes.
    #[prost(uint64, tag = "1")]
    pub wall_ms: u64,
    /// Milliseconds since boot, sleep included.
    #[prost(uint64, tag = "2")]
    pub boot_ms: u64,
    /// The kernel's id of that boot.
    #[prost(string, tag = "3")]
    pub boot_id: String,
}

/// Makes stamps: the host's clocks and the id of its boot.
#[derive(Clone)]
pub struct Times {
    clock: Arc<dyn Clock>,
    boot_id: Arc<str>,
}

// === impl Times ===

impl Times {
    /// Of this host, in this boot.
    pub fn new(clock: Arc<dyn Clock>, boot_id: &str) -> Self {
        Self {
            clock,
            boot_id: boot_id.into(),
        }
    }

    /// This moment.
    pub fn now(&self) -> Stamp {
        let wall = self
            .clock
            .wall()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Stamp {
            wall_ms: millis(wall),
            boot_ms: millis(self.clock.boottime()),
            boot_id: self.boot_id.as_ref().to_owned(),
        }
    }

    /// CLOCK_MONOTONIC, for measuring.
    pub fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    /// The kernel's id of this boot.
    pub fn boot_id(&self) -> &str {
        &self.boot_id
    }
}

/// As whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

// === impl Stamp ===

impl Stamp {
    /// How long ago it was, in milliseconds.
    ///
    /// Within one boot the calendar does not matter, however it was set since. Across boots there is only the calendar; and
    /// where that says that it is still to come, it is as long ago as this boot is old, at least.
    pub fn age_ms(&self, now: &Self) -> u64 {
        if self.boot_id == now.boot_id {
            now.boot_ms.saturating_sub(self.boot_ms)
        } else {
            now.wall_ms.checked_sub(self.wall_ms).unwrap_or(now.boot_ms)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Stamp;

    fn stamp(wall_ms: u64, boot_ms: u64, boot_id: &str) -> Stamp {
        Stamp {
            wall_ms,
            boot_ms,
            boot_id: boot_id.to_owned(),
        }
    }

    #[test]
    fn a_clock_that_was_set_does_not_change_an_age_within_a_boot() {
        let then = stamp(9_000_000, 1_000, "a");
        assert_eq!(then.age_ms(&stamp(5, 4_000, "a")), 3_000);
    }

    #[test]
    fn across_boots_the_calendar_counts_and_where_it_went_back_the_uptime() {
        let then = stamp(10_000, 700_000, "a");
        assert_eq!(then.age_ms(&stamp(90_000, 20_000, "b")), 80_000);
        assert_eq!(then.age_ms(&stamp(5_000, 20_000, "b")), 20_000);
    }
}
