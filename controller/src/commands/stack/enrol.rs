//! The part of an install that needs ssh: a detached helper of this command enrols the hosts and reports to the run.

use crate::bootstrap::{self, Order, Target};
use crate::cli::args::Enrolling;
use crate::cli::{CliError, Context};

use super::super::host::{become_password, bootstrap as by_hand};
use super::super::stackfile::StackFile;

/// What the helper will need, read while there is still a way back; `None`: no host is to be enrolled.
pub(super) fn prepare(
    file: &StackFile,
    enrolling: &Enrolling,
    hosts: &[String],
) -> Result<Option<Order>, CliError> {
    if hosts.is_empty() {
        return Ok(None);
    }
    let targets = file.stack.hosts.iter();
    let targets = targets.filter(|host| hosts.iter().any(|name| name == host.hostname.as_str()));
    let targets: Vec<_> = targets.map(Target::of).collect();
    let password = become_password(enrolling)?;
    let fleet = by_hand::fleet_name(file)?;
    Ok(Some(Order {
        fleet,
        targets,
        advertise: file.stack.controller.advertise.clone(),
        accept_new_host_keys: enrolling.accept_new_host_keys,
        take_over: false,
        parallel: enrolling.parallel,
        password,
    }))
}

/// Starts the helper in a session of its own; it outlives this command.
pub(super) async fn detach(context: &Context, order: Order, run: &str) -> Result<(), CliError> {
    bootstrap::detach(&context.environment, &order, run)
        .await
        .map_err(CliError::failed)
}
