//! SIGTERM and SIGINT end the controller in order; SIGHUP does too, since no terminal is needed.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::DaemonError;

/// A token that is cancelled by the first of these signals.
pub fn stop_on_signals() -> Result<CancellationToken, DaemonError> {
    let stop = CancellationToken::new();
    let watch = |kind| signal(kind).map_err(DaemonError::Signals);
    let (mut terminate, mut interrupt) = (
        watch(SignalKind::terminate())?,
        watch(SignalKind::interrupt())?,
    );
    let mut hang_up = watch(SignalKind::hangup())?;
    let token = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = token.cancelled() => {}
            _ = terminate.recv() => token.cancel(),
            _ = interrupt.recv() => token.cancel(),
            _ = hang_up.recv() => token.cancel(),
        }
    });
    Ok(stop)
}
