//! Bringing a service about, and taking it away.

use std::time::Duration;

use foundry_host::Containers;
use foundry_host::containers::ContainersError;
use foundry_host::files::{Attributes, Content};
use foundry_host::systemd::LoadState;
use foundry_proto::agent::v1::ContainerService;
use futures_util::FutureExt;

use super::diff::{is_ours, needs_start};
use super::settings::{self, ENV_MODE, Settings};
use super::{folders, found, unit_text};
use crate::tasks::settle::{self, START_LIMIT, Start};
use crate::tasks::{Context, Removed, TaskError, unit, unit_file};

/// From one look to the next at a container that starts.
const LOOK_AGAIN: Duration = Duration::from_millis(30);

pub(in crate::tasks) async fn apply(
    cx: &Context,
    id: &str,
    task: &ContainerService,
) -> Result<(), TaskError> {
    let settings = Settings::read(&cx.fleet, task)?;
    let runtime = cx.host.runtimes.prepare().await?;
    let info = runtime.info();
    let program = info.cli.as_deref().ok_or_else(|| TaskError::NoProgram {
        runtime: info.kind.to_string(),
    })?;
    let text = unit_text::render(&settings, info.kind, program);
    let unit = settings.unit();
    let found = found::find(cx, runtime.as_ref(), &settings).await?;
    let needs_start = needs_start(&settings, &text, &found);
    cx.host
        .files
        .make_directory(&settings::folder(), Attributes::root(0o700))
        .await?;
    folders::make(cx, &settings).await?;
    write_env(cx, &settings).await?;
    let is_written = found.unit_text.as_deref() == Some(text.as_bytes());
    if !is_written {
        let content = Content::Bytes(text.into_bytes());
        cx.host
            .files
            .write(&unit_file::path(&unit), content, Attributes::root(0o644))
            .await?;
    }
    // Enabling reads unit files anew too.
    if !found.unit.is_enabled() {
        cx.host.systemd.enable(&unit).await?;
    } else if !is_written || found.unit.needs_reload {
        cx.host.systemd.reload().await?;
    }
    if !needs_start {
        return Ok(());
    }
    let start = Start {
        task: id,
        unit: &unit,
        check: settings.check.as_ref(),
        limit: START_LIMIT + Duration::from_secs(settings.stop_timeout.into()),
        before_probe: Some(runs(runtime.as_ref(), &settings).boxed()),
    };
    settle::start(cx, start).await
}

/// Waits until the runtime says that the container runs. Docker's forwarder listens before that, and a connection that
/// comes too early has the kernel look for the container in vain, and again only a second later.
async fn runs(runtime: &dyn Containers, settings: &Settings<'_>) {
    // Where the runtime does not answer, the probe will say what is wrong.
    while let Ok(containers) = runtime.containers().await {
        if containers
            .iter()
            .any(|container| container.running && is_ours(settings, container))
        {
            return;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

pub(in crate::tasks) async fn remove(
    cx: &Context,
    task: &ContainerService,
    purge: bool,
) -> Result<Removed, TaskError> {
    let settings = Settings::read(&cx.fleet, task)?;
    let systemd = &cx.host.systemd;
    let unit = settings.unit();
    unit::stop(cx, &unit).await?;
    if systemd.state(&unit).await?.load != LoadState::NotFound {
        systemd.disable(&unit).await?;
    }
    cx.host.files.remove_file(&unit_file::path(&unit)).await?;
    systemd.reload().await?;
    systemd.reset_failed(&unit).await?;
    match cx.host.runtimes.chosen().await {
        Ok(runtime) => clear(runtime.as_ref(), &settings).await?,
        // Without a runtime there is no container.
        Err(ContainersError::None { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    cx.host.files.remove_file(&settings.env_file()).await?;
    let removed = folders::remove(cx, &settings, purge).await?;
    cx.host.files.remove_directory(&settings::folder()).await?;
    Ok(removed)
}

/// Removes what is left of our container.
async fn clear(runtime: &dyn Containers, settings: &Settings<'_>) -> Result<(), TaskError> {
    for container in runtime.containers().await? {
        if is_ours(settings, &container) {
            runtime
                .stop(
                    &container.id,
                    Duration::from_secs(settings.stop_timeout.into()),
                )
                .await?;
            runtime.remove(&container.id).await?;
        }
    }
    Ok(())
}

async fn write_env(cx: &Context, settings: &Settings<'_>) -> Result<(), TaskError> {
    let file = settings.env_file();
    if settings.task.env.is_empty() {
        cx.host.files.remove_file(&file).await?;
        return Ok(());
    }
    let content = Content::Bytes(settings.env_text().into_bytes());
    Ok(cx
        .host
        .files
        .write(&file, content, Attributes::root(ENV_MODE))
        .await?)
}
