//! Whether anybody needs the controller.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Counts what keeps the controller alive. Clones are the same count.
#[derive(Debug, Clone)]
pub struct Activity {
    count: watch::Sender<usize>,
}

/// Keeps the controller alive until it is dropped.
#[derive(Debug)]
pub struct Busy {
    count: watch::Sender<usize>,
}

// === impl Activity ===

impl Default for Activity {
    fn default() -> Self {
        Self {
            count: watch::Sender::new(0),
        }
    }
}

impl Activity {
    /// Somebody needs the controller, until this is dropped.
    pub fn enter(&self) -> Busy {
        self.count.send_modify(|count| *count += 1);
        Busy {
            count: self.count.clone(),
        }
    }
}

// === impl Busy ===

impl Drop for Busy {
    fn drop(&mut self) {
        self.count.send_modify(|count| *count -= 1);
    }
}

/// Cancels `stop` once nobody needed the controller for `idle` without a break; `None`: never.
pub(super) async fn stop_when_idle(
    activity: Activity,
    idle: Option<Duration>,
    stop: CancellationToken,
) {
    let Some(idle) = idle else {
        return stop.cancelled().await;
    };
    let mut count = activity.count.subscribe();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            quiet = count.wait_for(|count| *count == 0) => if quiet.is_err() { return },
        }
        tokio::select! {
            () = stop.cancelled() => return,
            // Even a short visit in between starts the count anew.
            _ = count.changed() => {}
            () = tokio::time::sleep(idle) => {
                tracing::info!(idle_s = idle.as_secs(), "nobody needs this controller any more");
                return stop.cancel();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    use super::{Activity, stop_when_idle};

    const IDLE: Option<Duration> = Some(Duration::from_secs(600));

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_nobody_came_for_the_whole_time() {
        let (activity, stop) = (Activity::default(), CancellationToken::new());
        let started = tokio::time::Instant::now();
        let watch = tokio::spawn(stop_when_idle(activity.clone(), IDLE, stop.clone()));
        let visit = activity.enter();
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert!(!stop.is_cancelled());
        drop(visit);
        stop.cancelled().await;
        watch.await.unwrap();
        assert!(started.elapsed() >= Duration::from_secs(4200));
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_visit_starts_the_count_anew() {
        let (activity, stop) = (Activity::default(), CancellationToken::new());
        let watch = tokio::spawn(stop_when_idle(activity.clone(), IDLE, stop.clone()));
        tokio::task::yield_now().await;
        tokio::time::advance(Duration::from_secs(599)).await;
        drop(activity.enter());
        tokio::task::yield_now().await;
        tokio::time::advance(Duration::from_secs(599)).await;
        tokio::task::yield_now().await;
        assert!(!stop.is_cancelled());
        stop.cancel();
        watch.await.unwrap();
    }
}
