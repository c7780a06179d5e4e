//! `host bootstrap`: enrols hosts while the user watches, and may be asked.

use foundry_proto::FleetId;

use super::super::stackfile::StackFile;
use super::super::{fleet, stack};
use super::become_password;
use crate::bootstrap::{self, Order, Settings, Target};
use crate::cli::args::Bootstrap;
use crate::cli::{CliError, Context, Exit, runtime};
use crate::output::json::enrolment::EnrolmentsDocument;

pub(super) fn run(context: &Context, options: &Bootstrap) -> Result<Exit, CliError> {
    let mut file = StackFile::load(context)?;
    stack::refuse_unmatched(&file, &options.hosts, &[])?;
    let password = become_password(&options.enrolling)?;
    let paths = fleet::of_file_or_new(context, &mut file)?;
    let hosts = file.stack.hosts.iter();
    let hosts = hosts.filter(|host| {
        options.hosts.is_empty()
            || options
                .hosts
                .iter()
                .any(|name| name == host.hostname.as_str())
    });
    let order = Order {
        fleet: fleet_name(&file)?,
        targets: hosts.map(Target::of).collect(),
        advertise: file.stack.controller.advertise.clone(),
        accept_new_host_keys: options.enrolling.accept_new_host_keys,
        take_over: options.take_over,
        parallel: options.enrolling.parallel,
        password,
    };
    if order.targets.is_empty() {
        return Err(CliError::usage(format!("{} has no hosts", file.path))
            .hint("add one: `foundry host add NAME ADDRESS`"));
    }
    let document = runtime::block_on(async {
        let mut client = fleet::controller(context, &file, &paths).await?;
        fleet::listen_as_declared(&mut client, &file).await?;
        fleet::refuse_deaf(&mut client).await?;
        let settings = Settings::of(&context.environment);
        tokio::select! {
            document = bootstrap::by_hand(&settings, &order, client, &context.printer) => Ok(document),
            // Sessions end with their ssh; each host is then as it was, or enrolled.
            _ = tokio::signal::ctrl_c() => Err(CliError::interrupted()),
        }
    })?;
    context.printer.document(&document);
    Ok(exit(&document))
}

/// The fleet that the file names.
pub(in crate::commands) fn fleet_name(file: &StackFile) -> Result<FleetId, CliError> {
    let name = file
        .stack
        .fleet
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    name.parse().map_err(CliError::config)
}

fn exit(document: &EnrolmentsDocument) -> Exit {
    let failed = document
        .hosts
        .iter()
        .filter(|host| host.outcome == "failed")
        .count();
    match failed {
        0 => Exit::Done,
        all if all == document.hosts.len() => Exit::Failed,
        _ => Exit::Partial,
    }
}
