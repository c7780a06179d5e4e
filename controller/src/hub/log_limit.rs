//! A bound on log lines that strangers can cause.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// At most so many lines in each period.
const LINES: u32 = 20;
const PERIOD: Duration = Duration::from_secs(10);

/// Counts the lines of the present period.
#[derive(Debug, Default)]
pub(super) struct LogLimit(Mutex<Option<(Instant, u32)>>);

impl LogLimit {
    /// Whether one more line may be written.
    pub(super) fn allows(&self) -> bool {
        let now = Instant::now();
        let mut period = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match period.as_mut() {
            Some((since, lines)) if now < *since + PERIOD => {
                *lines += 1;
                *lines <= LINES
            }
            Some(_) | None => {
                *period = Some((now, 1));
                true
            }
        }
    }
}
