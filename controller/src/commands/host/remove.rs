//! `host remove`: out of the fleet, foundry off the host, out of the file.

use foundry_proto::operator::v1 as wire;
use foundry_spec::edit;

use super::super::stackfile::StackFile;
use super::super::{fleet, stack};
use crate::api::client::{Client, refusal};
use crate::cli::args::Remove;
use crate::cli::{CliError, Context, Exit, runtime};
use crate::output::json::host::RemovedDocument;

/// How long the host may take to clear itself, in milliseconds.
const TIMEOUT_MS: u64 = 120_000;

/// What became of the host.
enum Left {
    /// It is out of the fleet.
    Removed(RemovedDocument),
    /// The fleet does not know it.
    Unknown,
    /// The user does not want it.
    Unwanted,
}

pub(super) fn run(context: &Context, options: &Remove) -> Result<Exit, CliError> {
    let mut file = StackFile::load(context)?;
    let left = match fleet::of_file(context, &file)? {
        None => Left::Unknown,
        Some(paths) => runtime::block_on(async {
            let mut client = fleet::controller(context, &file, &paths).await?;
            leave(context, &mut client, options).await
        })?,
    };
    match left {
        Left::Removed(document) => {
            if file.stack.host(&options.name).is_some() {
                take_out_of_file(context, &mut file, &options.name);
            }
            context.printer.document(&document);
            let all = document.message.is_none();
            Ok(if all { Exit::Done } else { Exit::Partial })
        }
        Left::Unknown => only_in_file(context, &mut file, &options.name),
        Left::Unwanted => {
            context
                .printer
                .note("nothing was removed: the name was not typed");
            Ok(Exit::Done)
        }
    }
}

async fn leave(context: &Context, client: &mut Client, options: &Remove) -> Result<Left, CliError> {
    let reply = client.list_hosts(wire::ListHostsRequest {}).await;
    let hosts = reply.map_err(|status| refusal(&status))?.into_inner().hosts;
    if !hosts.iter().any(|host| host.hostname == options.name) {
        return Ok(Left::Unknown);
    }
    if !confirmed(context, options)? {
        return Ok(Left::Unwanted);
    }
    let request = wire::RemoveHostRequest {
        hostname: options.name.clone(),
        purge: options.purge,
        force: options.force,
        timeout_ms: TIMEOUT_MS,
    };
    let reply = client.remove_host(request).await;
    let reply = reply.map_err(|status| refusal(&status))?.into_inner();
    Ok(Left::Removed(RemovedDocument {
        host: options.name.clone(),
        uninstalled: reply.uninstalled,
        kept: reply.kept,
        message: Some(reply.message).filter(|message| !message.is_empty()),
    }))
}

fn confirmed(context: &Context, options: &Remove) -> Result<bool, CliError> {
    if options.yes {
        return Ok(true);
    }
    let data = if options.purge { "deleted too" } else { "kept" };
    let question = format!(
        "Everything of foundry's leaves {}; data folders are {data}. Type its name:",
        options.name
    );
    context
        .printer
        .confirm_by_name(&question, &options.name, "--yes")
}

/// A file that only a person should change stays as it is: the host has left in any case.
fn take_out_of_file(context: &Context, file: &mut StackFile, name: &str) {
    let printer = &context.printer;
    match file.edit(|source| edit::remove_host(source, name)) {
        Ok(()) => printer.detail(&format!("took {name} out of {}", file.path)),
        Err(error) => {
            let why = error.causes().pop().unwrap_or_default();
            printer.warning(&format!("{} still names {name}: {why}", file.path));
            printer.hint("take it out before the next `foundry stack install` enrols it again");
        }
    }
}

/// A host that was never enrolled.
fn only_in_file(context: &Context, file: &mut StackFile, name: &str) -> Result<Exit, CliError> {
    if file.stack.host(name).is_none() {
        let known: Vec<_> = file
            .stack
            .hosts
            .iter()
            .map(|host| host.hostname.as_str())
            .collect();
        return Err(stack::unknown(file, "host", name, &known));
    }
    file.edit(|source| edit::remove_host(source, name))?;
    context.printer.document(&RemovedDocument {
        host: name.to_owned(),
        uninstalled: false,
        kept: Vec::new(),
        message: Some(format!("it was not enrolled; it is out of {}", file.path)),
    });
    Ok(Exit::Done)
}
