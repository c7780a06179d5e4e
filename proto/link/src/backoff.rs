//! When to dial again: full jitter, doubling up to a cap, with a wider cap after a long absence.
//!
//! The randomness is the caller's, so a test decides it. Full jitter (a delay drawn evenly between nothing and the
//! present bound) keeps thousands of agents that lost the same controller from coming back in step.

use std::time::Duration;

use foundry_proto::agent::v1::ReconnectPolicy;

/// A checked policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    initial: Duration,
    cap: Duration,
    away_after: Duration,
    away_cap: Duration,
}

/// How a refused agent asks again: between half of this and all of it.
pub const REFUSED: Duration = Duration::from_secs(3600);

/// No policy of a controller's makes an agent wait longer than this, or dial more often than [`LEAST`].
const MOST: Duration = Duration::from_secs(600);
const LEAST: Duration = Duration::from_millis(50);

/// Counts the attempts since the controller was last there.
#[derive(Debug, Clone)]
pub struct Backoff {
    policy: Policy,
    attempts: u32,
}

// === impl Policy ===

impl Default for Policy {
    /// 0.5 s doubling to 2 s; 15 s once the controller was away for ten minutes.
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(500),
            cap: Duration::from_secs(2),
            away_after: Duration::from_secs(600),
            away_cap: Duration::from_secs(15),
        }
    }
}

impl From<&ReconnectPolicy> for Policy {
    /// What is zero is taken from the default; what is out of bounds is brought within.
    fn from(wire: &ReconnectPolicy) -> Self {
        let default = Self::default();
        let take = |ms: u64, default: Duration| {
            if ms == 0 {
                default
            } else {
                Duration::from_millis(ms).clamp(LEAST, MOST)
            }
        };
        let initial = take(wire.initial_ms, default.initial);
        let cap = take(wire.cap_ms, default.cap).max(initial);
        let away_after = match wire.away_after_ms {
            0 => default.away_after,
            ms => Duration::from_millis(ms),
        };
        Self {
            initial,
            cap,
            away_after,
            away_cap: take(wire.away_cap_ms, default.away_cap).max(cap),
        }
    }
}

impl From<Policy> for ReconnectPolicy {
    fn from(policy: Policy) -> Self {
        let ms = |duration: Duration| duration.as_millis().try_into().unwrap_or(u64::MAX);
        Self {
            initial_ms: ms(policy.initial),
            cap_ms: ms(policy.cap),
            away_after_ms: ms(policy.away_after),
            away_cap_ms: ms(policy.away_cap),
        }
    }
}

// === impl Backoff ===

impl Backoff {
    /// No attempts yet.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            attempts: 0,
        }
    }

    /// From the next attempt on, another policy.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// The controller answered.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }

    /// How long to wait before the next attempt. `away` is how long the controller has not been there, `random` is drawn
    /// evenly from 0 up to 1.
    pub fn next_delay(&mut self, away: Duration, random: f64) -> Duration {
        let Policy {
            initial,
            cap,
            away_after,
            away_cap,
        } = self.policy;
        let bound = if away >= away_after {
            away_cap
        } else {
            initial.saturating_mul(1 << self.attempts.min(16)).min(cap)
        };
        self.attempts = self.attempts.saturating_add(1);
        bound.mul_f64(random.clamp(0.0, 1.0))
    }

    /// How long to wait after a refusal: about an hour, or what the controller asked for.
    pub fn refused_delay(asked: Option<Duration>, random: f64) -> Duration {
        let bound = asked.map_or(REFUSED, |asked| asked.min(REFUSED));
        bound.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use foundry_proto::agent::v1::ReconnectPolicy;
    use proptest::prelude::*;

    use super::{Backoff, Policy};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn delays_double_to_the_cap_and_widen_when_the_controller_stays_away() {
        let mut backoff = Backoff::new(Policy::default());
        let mut longest = |away| backoff.next_delay(away, 1.0);
        assert_eq!(longest(Duration::ZERO), SECOND / 2);
        assert_eq!(longest(SECOND), SECOND);
        assert_eq!(longest(SECOND), SECOND * 2);
        assert_eq!(longest(SECOND * 599), SECOND * 2);
        assert_eq!(longest(SECOND * 600), SECOND * 15);
        backoff.reset();
        assert_eq!(backoff.next_delay(Duration::ZERO, 1.0), SECOND / 2);
    }

    proptest! {
        #[test]
        fn no_policy_and_no_randomness_leaves_the_bounds(
            initial_ms: u64, cap_ms: u64, away_after_ms: u64, away_cap_ms: u64,
            attempts in 0usize..40, away_s in 0u64..10_000, random in 0.0f64..1.0,
        ) {
            let wire = ReconnectPolicy { initial_ms, cap_ms, away_after_ms, away_cap_ms };
            let mut backoff = Backoff::new(Policy::from(&wire));
            for _ in 0..attempts {
                prop_assert!(backoff.next_delay(Duration::from_secs(away_s), random) <= super::MOST);
            }
        }
    }
}
