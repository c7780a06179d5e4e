//! The agent as a service: readiness, watchdog and signals.

use std::io;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Agent;
use crate::session::State;

/// How often the ledger catches up where no watchdog asks for it.
const CHECK: Duration = Duration::from_secs(30);

/// What asks the agent to end.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

// === impl Signals ===

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Whether a service manager waits to hear from this process.
pub(super) fn is_managed() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// Says that the agent is ready, and then, while it gets things done, that it is alive, until it should end.
pub(super) async fn serve(agent: &Agent, mut signals: Signals) {
    let patience = sd_notify::watchdog_enabled().map_or(CHECK, |watchdog| watchdog / 3);
    let mut check = interval(patience);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut session = agent.session();
    notify(&[NotifyState::Ready]);
    tracing::info!("ready");
    loop {
        tokio::select! {
            _ = check.tick() => {
                // No answer, no sign of life: systemd then starts the agent anew.
                match timeout(patience, agent.executor().is_alive()).await {
                    Ok(true) => notify(&[NotifyState::Watchdog]),
                    Ok(false) | Err(_) => tracing::error!("the executor does not answer"),
                }
            }
            Ok(()) = session.changed() => {
                let status = describe(&session.borrow_and_update().state);
                notify(&[NotifyState::Status(&status)]);
            }
            () = signals.any() => break,
            () = agent.finished().cancelled() => break,
        }
    }
    tracing::info!("stopping; what runs on this host goes on");
    notify(&[NotifyState::Stopping]);
}

fn describe(state: &State) -> String {
    match state {
        State::Dialing => "dialling the controller".to_owned(),
        State::Open { address } => format!("in session with {address}"),
        State::Waiting { cause, .. } => format!("no session: {cause}"),
        State::Refused {
            reason, message, ..
        } => {
            format!(
                "refused by the controller: {} {message}",
                reason.as_str_name()
            )
        }
        State::Stopped => "stopped".to_owned(),
    }
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager does not hear");
    }
}
