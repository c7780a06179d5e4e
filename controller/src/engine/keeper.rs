//! One task writes down what may be lost with the process: health, holdings as hellos told them, last signs of life.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::core::Core;
use crate::store::StoreError;

/// What hosts reported is written this often.
const FLUSH: Duration = Duration::from_secs(5);
/// That they are alive is written this often, and at the end.
const SEEN: Duration = Duration::from_secs(300);

/// Runs until `stop`, and writes everything once more then.
pub(super) async fn run(core: Arc<Core>, stop: CancellationToken) {
    let every = |period| {
        let mut interval = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        interval
    };
    let (mut flush, mut seen) = (every(FLUSH), every(SEEN));
    loop {
        let written = tokio::select! {
            () = stop.cancelled() => break,
            _ = flush.tick() => core.flush().await,
            _ = seen.tick() => core.write_seen().await,
        };
        complain(written);
    }
    complain(core.write_seen().await);
    complain(core.flush().await);
}

fn complain(written: Result<(), StoreError>) {
    if let Err(error) = written {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "what hosts reported is not stored"
        );
    }
}
