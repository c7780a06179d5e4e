//! `stack plan`: what `install` would change.

use foundry_proto::operator::v1 as wire;

use super::super::archives::{self, Archive};
use super::super::stackfile::StackFile;
use super::super::{fleet, status};
use super::{draft, selection};
use crate::api::client::{Client, refusal};
use crate::cli::args::{Plan, Selecting};
use crate::cli::{CliError, Context, Exit, runtime};
use crate::output::json::plan::PlanDocument;

pub(super) fn run(context: &Context, options: &Plan) -> Result<Exit, CliError> {
    let file = StackFile::load(context)?;
    let fleet = fleet::of_file(context, &file)?;
    let archives = archives::describe(context, &file, fleet.as_ref())?;
    let document = match fleet {
        None => draft::plan(&file, &options.selecting, &archives)?,
        Some(paths) => runtime::block_on(async {
            let mut client = fleet::controller(context, &file, &paths).await?;
            let request = install_request(&file, &options.selecting, &archives, options.prune);
            Ok(PlanDocument::from(&ask(&mut client, request).await?))
        })?,
    };
    context.printer.document(&document);
    if !document.problems.is_empty() {
        return Ok(Exit::Failed);
    }
    let pending = options.exit_code && !document.is_empty();
    Ok(if pending { Exit::Pending } else { Exit::Done })
}

/// The request for a plan that makes it so.
pub(super) fn install_request(
    file: &StackFile,
    selecting: &Selecting,
    archives: &[Archive],
    prune: bool,
) -> wire::PlanRequest {
    wire::PlanRequest {
        spec: file.source.clone().into(),
        selection: Some(selection(selecting)),
        archives: archives
            .iter()
            .map(|archive| archive.described.clone())
            .collect(),
        secrets: Vec::new(),
        prune,
        goal: wire::Goal::Install.into(),
        purge: false,
        patience_ms: status::PATIENCE_MS,
    }
}

/// The controller's plan.
pub(super) async fn ask(
    client: &mut Client,
    request: wire::PlanRequest,
) -> Result<wire::Plan, CliError> {
    let plan = client.plan(request).await;
    plan.map(tonic::Response::into_inner)
        .map_err(|status| refusal(&status))
}
