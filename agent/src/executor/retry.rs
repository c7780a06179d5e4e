//! How long to wait between the attempts of one revision. Pure.

use std::time::Duration;

use foundry_proto::agent::v1::RetryPolicy;

/// The longest wait, whatever the policy says.
const LONGEST: Duration = Duration::from_secs(3600);

/// The most attempts, whatever the policy says.
const MOST: u32 = 1000;

/// How long to wait after this many failures; `None`: the policy is spent. `jitter` is from 0 to 1: of the last quarter of
/// the wait, that much is taken.
pub(super) fn delay(policy: Option<&RetryPolicy>, failures: u32, jitter: f64) -> Option<Duration> {
    let policy = policy?;
    if failures >= policy.attempts.min(MOST) {
        return None;
    }
    let doublings = failures.saturating_sub(1).min(31);
    let most = Duration::from_millis(policy.max_delay_ms.max(policy.initial_delay_ms)).min(LONGEST);
    let full = Duration::from_millis(policy.initial_delay_ms.saturating_mul(1 << doublings));
    Some(full.min(most).mul_f64(0.75 + 0.25 * jitter.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use foundry_proto::agent::v1::RetryPolicy;

    use super::delay;

    #[test]
    fn waits_double_up_to_the_most_and_end_with_the_attempts() {
        let policy = RetryPolicy {
            attempts: 4,
            initial_delay_ms: 1000,
            max_delay_ms: 3000,
        };
        let after = |failures| delay(Some(&policy), failures, 1.0);
        assert_eq!(after(1), Some(Duration::from_secs(1)));
        assert_eq!(after(2), Some(Duration::from_secs(2)));
        assert_eq!(after(3), Some(Duration::from_secs(3)));
        assert_eq!(after(4), None);
        assert_eq!(delay(None, 1, 1.0), None);
        assert_eq!(delay(Some(&RetryPolicy::default()), 1, 0.5), None);
    }
}
