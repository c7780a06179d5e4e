//! Logging to standard error, one line each: the journal adds time and host by itself.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// What is logged where `FOUNDRY_LOG` says nothing.
const DEFAULT: &str = "info";

/// Starts logging.
pub(super) fn init() {
    let filter = EnvFilter::try_from_env("FOUNDRY_LOG").unwrap_or_else(|_| DEFAULT.into());
    let terminal = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal)
        .with_target(false);
    let started = if terminal {
        lines.try_init()
    } else {
        lines.without_time().try_init()
    };
    // Somebody else's logging is as good.
    drop(started);
}
