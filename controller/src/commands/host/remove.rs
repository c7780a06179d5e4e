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

pub(super) fn run(context: &Context, options: &Remove) -> Result<Exit, CliError> {
    let mut file = StackFile::load(context)?;
    let declared = file.stack.host(&options.name).is_some();
    let removed = match fleet::of_file(context, &file)? {
        None => None,
        Some(paths) => runtime::block_on(async {
            let mut client = fleet::controller(context, &file, &paths).await?;
            if !is_enrolled(&mut client, &options.name).await? {
                return Ok(None);
            }
            if !confirmed(context, options)? {
                return Ok(Some(None));
            }
            leave(&mut client, options)
                .await
                .map(|removed| Some(Some(removed)))
        })?,
    };
    let removed = match removed {
        Some(None) => {
            context
                .printer
                .note("nothing was removed: the name was not typed");
            return Ok(Exit::Done);
        }
        Some(Some(removed)) => removed,
        None if declared => RemovedDocument {
            host: options.name.clone(),
            uninstalled: false,
            kept: Vec::new(),
            message: Some("it was not enrolled".to_owned()),
        },
        None => {
            let known: Vec<_> = file
                .stack
                .hosts
                .iter()
                .map(|host| host.hostname.as_str())
                .collect();
            return Err(stack::unknown(&file, "host", &options.name, &known));
        }
    };
    if declared {
        file.edit(|source| edit::remove_host(source, &options.name))?;
        context
            .printer
            .detail(&format!("took {} out of {}", options.name, file.path));
    }
    let all = removed.message.is_none();
    context.printer.document(&removed);
    Ok(if all { Exit::Done } else { Exit::Partial })
}

async fn is_enrolled(client: &mut Client, name: &str) -> Result<bool, CliError> {
    let reply = client.list_hosts(wire::ListHostsRequest {}).await;
    let hosts = reply.map_err(|status| refusal(&status))?.into_inner().hosts;
    Ok(hosts.iter().any(|host| host.hostname == name))
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

async fn leave(client: &mut Client, options: &Remove) -> Result<RemovedDocument, CliError> {
    let request = wire::RemoveHostRequest {
        hostname: options.name.clone(),
        purge: options.purge,
        force: options.force,
        timeout_ms: TIMEOUT_MS,
    };
    let reply = client
        .remove_host(request)
        .await
        .map_err(|status| refusal(&status))?
        .into_inner();
    Ok(RemovedDocument {
        host: options.name.clone(),
        uninstalled: reply.uninstalled,
        kept: reply.kept,
        message: Some(reply.message).filter(|message| !message.is_empty()),
    })
}
