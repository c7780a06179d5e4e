//! Taking the agent itself off the host, the last thing that it does.

use std::io;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use foundry_host::Systemd;
use foundry_host::systemd::{SystemdError, UnitVerb};
use fs_err::tokio as fs;

use crate::config::Places;

/// How long systemd may take to end this process.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// Why something of the agent is still there.
#[derive(Debug, thiserror::Error)]
pub enum TeardownError {
    /// A file or folder.
    #[error("cannot remove {path}")]
    Remove {
        /// What stays.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The unit.
    #[error("cannot take the agent's unit away")]
    Unit(#[source] SystemdError),
}

/// Removes the agent's unit, programs, configuration and state, and has systemd stop the unit. Where that is the unit
/// of this very process, it ends before this returns. `Restart=` does not bring back what was stopped by an order.
pub async fn teardown(
    places: &Places,
    systemd: &dyn Systemd,
    unit: Option<&str>,
) -> Result<(), TeardownError> {
    if let Some(unit) = unit {
        systemd.disable(unit).await.map_err(TeardownError::Unit)?;
        remove_file(&places.unit()).await?;
    }
    // The state last: while it is there, another attempt knows what this host was.
    for folder in [&places.opt, &places.config, &places.runtime, &places.state] {
        remove_folder(folder).await?;
    }
    if let Some(unit) = unit {
        systemd.reload().await.map_err(TeardownError::Unit)?;
        systemd
            .run(UnitVerb::Stop, unit, STOP_LIMIT)
            .await
            .map_err(TeardownError::Unit)?;
    }
    Ok(())
}

async fn remove_file(path: &Utf8Path) -> Result<(), TeardownError> {
    gone(path, fs::remove_file(path).await)
}

async fn remove_folder(path: &Utf8Path) -> Result<(), TeardownError> {
    gone(path, fs::remove_dir_all(path).await)
}

fn gone(path: &Utf8Path, result: io::Result<()>) -> Result<(), TeardownError> {
    match result {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(TeardownError::Remove {
            path: path.to_owned(),
            source,
        }),
        Ok(()) | Err(_) => Ok(()),
    }
}
