//! The parts put together: as the process that systemd runs ([`main`]), and as a library ([`Agent`]).
//!
//! In order: logging → version → configuration → runtime → ledger → executor → session → ready. On SIGTERM, or when a job
//! has finished the agent, everything is asked to end and awaited for a grace; no workload is touched.

mod agent;
mod config;
mod logging;
mod service;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use foundry_host::Host;
use foundry_proto::layout;

pub use agent::{Agent, StartError};
pub use config::{Config, ConfigError};

use crate::config::{Places, SettingsError};
use crate::error_chain::ErrorChain;
use crate::ledger::LedgerError;

/// How long everything has to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(20);

/// Two threads: one may be in the middle of a digest while the other keeps the session.
const THREADS: usize = 2;

/// Threads for what blocks: files, name resolution.
const BLOCKING_THREADS: usize = 8;

/// Exit code where starting again does not help: not enrolled, or a ledger of a newer agent.
const NOT_BY_ITSELF: u8 = 78;

/// Why the agent ends early.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("the agent's configuration cannot be used")]
    Config(#[source] ConfigError),
    #[error("cannot start the runtime")]
    Runtime(#[source] std::io::Error),
    #[error("cannot listen for signals")]
    Signals(#[source] std::io::Error),
    #[error("the agent cannot start")]
    Start(#[source] StartError),
}

/// The agent as a process.
pub(crate) fn main(places: Places) -> ExitCode {
    logging::init();
    tracing::info!(version = crate::cli::version(), "foundry-agent");
    match start(places) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %ErrorChain(&error), "ends");
            if error.is_final() {
                ExitCode::from(NOT_BY_ITSELF)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

fn start(places: Places) -> Result<(), RunError> {
    let mut config = Config::read(places).map_err(RunError::Config)?;
    config.unit = service::is_managed().then(|| layout::AGENT_UNIT.to_owned());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()
        .map_err(RunError::Runtime)?;
    let result = runtime.block_on(async {
        let signals = service::Signals::listen().map_err(RunError::Signals)?;
        let agent = Agent::start(config, Arc::new(Host::this()))
            .await
            .map_err(RunError::Start)?;
        service::serve(&agent, signals).await;
        if !agent.stop(GRACE).await {
            tracing::warn!("something did not end in time and is left behind");
        }
        Ok(())
    });
    // What still runs in the background has had its grace.
    runtime.shutdown_background();
    result
}

// === impl RunError ===

impl RunError {
    /// Whether starting again does not help.
    fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Config(ConfigError::Settings(SettingsError::Missing { .. }))
                | Self::Start(StartError::Ledger(LedgerError::TooNew { .. }))
        )
    }
}
