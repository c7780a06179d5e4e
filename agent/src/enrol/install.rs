//! Files, unit and start of a granted enrolment; undone where any of it fails.

use std::io;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use foundry_host::systemd::{JobResult, SystemdError, UnitVerb};
use foundry_proto::agent::v1::enrol_result::Kind;
use foundry_proto::layout::AGENT_UNIT;

use super::changes::Changes;
use super::grant::Granted;
use super::{Enroller, Trouble, prune};
use crate::config::{IdentityError, Settings, SettingsError};
use crate::error_chain::ErrorChain;

/// The agent's unit, as it is written.
const UNIT: &str = include_str!("../../../packaging/systemd/foundry-agent.service");

/// How long systemd may take to start the agent, or to stop an old one.
const START_LIMIT: Duration = Duration::from_secs(75);

/// Lines of its journal that are shown when it does not start.
const LAST_LINES: u32 = 5;

/// Why the host is not enrolled after all.
#[derive(Debug, thiserror::Error)]
enum InstallError {
    #[error("cannot write on this host")]
    Files(#[source] io::Error),
    #[error(transparent)]
    Settings(SettingsError),
    #[error(transparent)]
    Identity(IdentityError),
    #[error("{0} is not where agents are installed")]
    Program(Utf8PathBuf),
    #[error(transparent)]
    Systemd(SystemdError),
    #[error("systemd does not start {AGENT_UNIT}: {result}{}", lines.iter().map(|line| format!("\n  {line}")).collect::<String>())]
    Start {
        result: JobResult,
        lines: Vec<String>,
    },
}

/// Makes the host part of the fleet: all of it, or none.
pub(super) async fn install(enroller: &Enroller, granted: Granted) -> Result<(), Trouble> {
    let before = enroller.current();
    let mut changes = Changes::default();
    let Err(error) = carry_out(enroller, granted, before.as_ref(), &mut changes).await else {
        if let Err(error) = prune::prune(&enroller.places) {
            tracing::warn!(%error, "old agents are kept");
        }
        return Ok(());
    };
    changes.undo();
    if let Err(error) = restore_unit(enroller, before.is_some()).await {
        tracing::warn!(error = %ErrorChain(&error), "the agent's unit is not as it was");
    }
    Err(Trouble::from(error))
}

async fn carry_out(
    enroller: &Enroller,
    granted: Granted,
    before: Option<&Settings>,
    changes: &mut Changes,
) -> Result<(), InstallError> {
    let Granted {
        mut settings,
        identity,
        ..
    } = granted;
    let places = &enroller.places;
    let systemd = &enroller.host.systemd;
    let folder = agent_folder(enroller)?;

    if let Some(before) = before {
        if before.fleet == settings.fleet && before.host_id == settings.host_id {
            settings.since_ms = before.since_ms;
        }
        if before.fleet != settings.fleet {
            // Another fleet's assignments are none of this one's. What they run goes on.
            let result = systemd.run(UnitVerb::Stop, AGENT_UNIT, START_LIMIT).await;
            result.map_err(InstallError::Systemd)?;
            let aside = places.state.join(format!("ledger-of-{}", before.fleet));
            changes
                .set_aside(&places.ledger(), &aside)
                .map_err(InstallError::Files)?;
        }
    }
    for (folder, mode) in [
        (&places.config, 0o755),
        (&places.state, 0o700),
        (&places.identity(), 0o700),
        (&places.units, 0o755),
    ] {
        changes
            .make_folder(folder, mode)
            .map_err(InstallError::Files)?;
    }
    for file in crate::config::Identity::files(&places.identity()) {
        changes.remember(&file).map_err(InstallError::Files)?;
    }
    identity
        .write(&places.identity())
        .map_err(InstallError::Identity)?;
    changes
        .remember(&places.settings())
        .map_err(InstallError::Files)?;
    settings
        .write(&places.settings())
        .map_err(InstallError::Settings)?;
    let Settings {
        fleet,
        host_id,
        epoch,
        hostname,
        ..
    } = &settings;
    let line = format!("{fleet} {host_id} {epoch} {hostname}\n");
    let files = [(places.enrolment(), line.as_str()), (places.unit(), UNIT)];
    for (path, content) in files {
        changes
            .write(&path, 0o644, content.as_bytes())
            .map_err(InstallError::Files)?;
    }
    let link = |name| places.agents().join(name);
    match link(prune::CURRENT).read_link_utf8() {
        Ok(old) if old != folder => {
            changes
                .link(&link(prune::PREVIOUS), &old)
                .map_err(InstallError::Files)?;
        }
        Ok(_) | Err(_) => {}
    }
    let folder = Utf8Path::new(&folder);
    changes
        .link(&link(prune::CURRENT), folder)
        .map_err(InstallError::Files)?;

    systemd.reload().await.map_err(InstallError::Systemd)?;
    systemd
        .enable(AGENT_UNIT)
        .await
        .map_err(InstallError::Systemd)?;
    let started = systemd
        .run(UnitVerb::Restart, AGENT_UNIT, START_LIMIT)
        .await;
    match started.map_err(InstallError::Systemd)? {
        JobResult::Done => Ok(()),
        result @ JobResult::Other(_) => {
            let lines = systemd
                .journal(AGENT_UNIT, LAST_LINES)
                .await
                .unwrap_or_default();
            Err(InstallError::Start { result, lines })
        }
    }
}

/// After an enrolment that failed: an earlier agent runs again, or none is left.
async fn restore_unit(enroller: &Enroller, was_enrolled: bool) -> Result<(), SystemdError> {
    let systemd = &enroller.host.systemd;
    if was_enrolled {
        systemd.reload().await?;
        systemd
            .run(UnitVerb::Restart, AGENT_UNIT, START_LIMIT)
            .await?;
    } else {
        let stopped = systemd.run(UnitVerb::Stop, AGENT_UNIT, START_LIMIT).await;
        systemd.disable(AGENT_UNIT).await?;
        stopped?;
    }
    Ok(())
}

/// The name of the folder under the agents' that this binary lies in.
fn agent_folder(enroller: &Enroller) -> Result<String, InstallError> {
    let program = &enroller.program;
    let agents = enroller.places.agents();
    program
        .strip_prefix(&agents)
        .ok()
        .and_then(|within| within.iter().next())
        .filter(|name| program == &agents.join(name).join("bin/foundry-agent"))
        .map(ToOwned::to_owned)
        .ok_or_else(|| InstallError::Program(program.clone()))
}

// === impl Trouble ===

impl From<InstallError> for Trouble {
    fn from(error: InstallError) -> Self {
        let kind = match &error {
            InstallError::Files(cause)
            | InstallError::Settings(SettingsError::Write(cause))
            | InstallError::Identity(IdentityError::Write(cause)) => kind_of(cause),
            InstallError::Systemd(_) | InstallError::Start { .. } => Kind::Systemd,
            InstallError::Settings(_) | InstallError::Identity(_) | InstallError::Program(_) => {
                Kind::Failed
            }
        };
        Self::new(kind, ErrorChain(&error))
    }
}

fn kind_of(error: &io::Error) -> Kind {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    // fs-err wraps the system's error, but keeps its kind.
    if matches!(
        error.kind(),
        StorageFull | QuotaExceeded | ReadOnlyFilesystem
    ) {
        Kind::Disk
    } else {
        Kind::Failed
    }
}
