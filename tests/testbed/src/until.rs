//! Waiting for a condition, with a deadline and the last reason in the error.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(50);

/// Asks `condition` again and again until it gives a value.
///
/// # Errors
/// When `limit` has passed: names `what` was awaited and the last error.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Result<T>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        match condition() {
            Ok(value) => return Ok(value),
            Err(error) if start.elapsed() > limit => {
                return Err(anyhow!("waited {limit:?} for {what}: {error:#}"));
            }
            Err(_) => std::thread::sleep(INTERVAL),
        }
    }
}
