//! A container that a systemd unit runs, through the runtime's own command-line program.
//!
//! Unit and container are both `foundry-<name>`. The container carries three labels: fleet, service, and the digest of
//! the settings that it was made from. **Only what carries the first two is ever stopped, replaced or removed.**
//!
//! * [`settings`]: the task, checked.
//! * [`unit_text`]: the unit that runs it, for Docker and for Podman.
//! * [`found`]: what is on the host. [`diff`]: what would have to change; pure.
//! * [`ports`]: who is in the way. [`folders`]: host folders of volumes.
//! * [`carry`]: apply and remove.

mod carry;
mod diff;
mod folders;
mod found;
mod ports;
mod settings;
mod unit_text;

use foundry_proto::agent::v1::ContainerService;

use super::difference::Difference;
use super::{Context, TaskError, runtime, settle};
use settings::Settings;

pub(super) use carry::{apply, remove};

pub(super) async fn observe(
    cx: &Context,
    task: &ContainerService,
) -> Result<Difference, TaskError> {
    let settings = Settings::read(&cx.fleet, task)?;
    let runtime = match runtime::chosen(cx, &settings.stem).await? {
        Ok(runtime) => runtime,
        Err(missing) => return Ok(missing),
    };
    let Some(program) = runtime.info().cli.clone() else {
        let kind = runtime.info().kind;
        let text = format!("{kind} answers, but its command-line program is not installed");
        return Ok(Difference::Waiting(text));
    };
    let unit_text = unit_text::render(&settings, runtime.info().kind, &program);
    let found = found::find(cx, runtime.as_ref(), &settings).await?;
    Ok(diff::diff(&settings, &unit_text, &found))
}

/// Waits until the service is sure to go on running.
pub(super) async fn confirm(cx: &Context, task: &ContainerService) -> Result<(), TaskError> {
    let settings = Settings::read(&cx.fleet, task)?;
    settle::confirm(cx, &settings.unit(), settings.check.as_ref()).await
}
