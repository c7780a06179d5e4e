//! `foundry-agent uninstall`: the same as the job, on the host itself, for a fleet that is gone or let the host go.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use foundry_host::Host;
use foundry_host::systemd::{SystemdError, UnitVerb};
use foundry_proto::agent::v1::ArtifactRef;
use foundry_proto::layout::AGENT_UNIT;
use tokio_util::sync::CancellationToken;

use super::{Retired, TeardownError, teardown};
use crate::config::{Places, Settings, SettingsError};
use crate::error_chain::ErrorChain;
use crate::facts;
use crate::ledger::{Ledger, LedgerError, Times};
use crate::tasks::{ArtifactError, Artifacts, Context, ProgressSink};

/// How long systemd may take to stop the agent.
const STOP_LIMIT: Duration = Duration::from_secs(75);

/// Why the host could not be left.
#[derive(Debug, thiserror::Error)]
pub enum LeaveError {
    /// No runtime.
    #[error("cannot start")]
    Runtime(#[source] io::Error),
    /// The agent still runs.
    #[error("cannot stop the agent")]
    Stop(#[source] SystemdError),
    /// It is not known which fleet's the host is.
    #[error(transparent)]
    Settings(SettingsError),
    /// It is not known what is on the host.
    #[error(transparent)]
    Ledger(LedgerError),
    /// The agent itself.
    #[error(transparent)]
    Teardown(TeardownError),
}

/// Undoing needs no files.
struct NoArtifacts;

#[async_trait]
impl Artifacts for NoArtifacts {
    async fn fetch(&self, artifact: &ArtifactRef) -> Result<Utf8PathBuf, ArtifactError> {
        Err(ArtifactError::new(
            artifact,
            "nothing is fetched to leave a host",
        ))
    }
}

/// The command: says on standard output what stays.
pub(crate) fn main(purge: bool) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let left = runtime.map_err(LeaveError::Runtime).and_then(|runtime| {
        runtime.block_on(leave(&Places::default(), Arc::new(Host::this()), purge))
    });
    let (mut out, mut err) = (io::stdout(), io::stderr());
    match left {
        Ok(retired) => {
            for kept in &retired.kept {
                let _ = writeln!(out, "kept {kept}");
            }
            for failure in &retired.failures {
                let _ = writeln!(err, "foundry-agent: {failure}");
            }
            if retired.failures.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            let _ = writeln!(err, "foundry-agent: {}", ErrorChain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Stops the agent, undoes its assignments and takes it away. Where something cannot be undone, the agent stays and runs.
pub async fn leave(places: &Places, host: Arc<Host>, purge: bool) -> Result<Retired, LeaveError> {
    let fleet = match Settings::read(places.settings()) {
        Ok(settings) => Some(settings.fleet),
        // What an enrolment that broke off may have left has no assignments.
        Err(SettingsError::Missing { .. }) if !places.ledger().exists() => None,
        Err(error) => return Err(LeaveError::Settings(error)),
    };
    let systemd = Arc::clone(&host.systemd);
    systemd
        .run(UnitVerb::Stop, AGENT_UNIT, STOP_LIMIT)
        .await
        .map_err(LeaveError::Stop)?;
    let mut retired = Retired::default();
    if let Some(fleet) = fleet {
        let cx = Context {
            host,
            fleet,
            artifacts: Arc::new(NoArtifacts),
            progress: ProgressSink::none(),
            cancel: CancellationToken::new(),
        };
        retired = undo(places, &cx, purge).await.map_err(LeaveError::Ledger)?;
    }
    if retired.failures.is_empty() {
        teardown(places, &*systemd, Some(AGENT_UNIT))
            .await
            .map_err(LeaveError::Teardown)?;
    } else if let Err(error) = systemd.run(UnitVerb::Start, AGENT_UNIT, STOP_LIMIT).await {
        tracing::warn!(error = %ErrorChain(&error), "the agent does not run any more");
    }
    Ok(retired)
}

async fn undo(places: &Places, cx: &Context, purge: bool) -> Result<Retired, LedgerError> {
    let times = Times::new(Arc::clone(&cx.host.clock), &facts::boot_id());
    let mut ledger = Ledger::open(&places.ledger(), "", &times.now())?;
    let mut retired = Retired::default();
    let records: Vec<_> = ledger
        .records()
        .filter(|record| !record.is_gone())
        .cloned()
        .collect();
    for mut record in records {
        if retired.undo(cx, &record, purge).await {
            record.forget();
            ledger.note(record, &times.now())?;
        }
    }
    Ok(retired.sorted())
}
