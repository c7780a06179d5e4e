//! The task that dials and runs the session.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::agent::{Agent, Outgoing};
use super::dial::Dialer;
use super::status::SessionStatus;

/// Keeps a session open until `stop`: dials, speaks, and dials again by the controller's reconnect policy. Ends within a
/// second of `stop`. Closing `outgoing` is not an end.
pub async fn run(
    dialer: Dialer,
    agent: Arc<dyn Agent>,
    outgoing: mpsc::Receiver<Outgoing>,
    status: watch::Sender<SessionStatus>,
    stop: CancellationToken,
) {
    let _ = (dialer, agent, outgoing, status, stop);
    unimplemented!("follows")
}
