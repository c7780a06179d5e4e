//! `stack uninstall`: takes the services off the hosts; hosts stay enrolled, data folders stay.

use std::time::Duration;

use foundry_proto::operator::v1 as wire;

use super::super::stackfile::StackFile;
use super::super::{archives, fleet, status};
use super::plan::ask;
use super::{follow, install, selection};
use crate::cli::args::Uninstall;
use crate::cli::{CliError, Context, Exit, runtime};
use crate::output::json::plan::PlanDocument;
use crate::output::json::run::RunDocument;

pub(super) fn run(context: &Context, options: &Uninstall) -> Result<Exit, CliError> {
    let file = StackFile::load(context)?;
    let Some(paths) = fleet::of_file(context, &file)? else {
        context.printer.document(&RunDocument::nothing(None));
        return Ok(Exit::Done);
    };
    runtime::block_on(async {
        let mut client = fleet::controller(context, &file, &paths).await?;
        let request = wire::PlanRequest {
            spec: file.source.clone().into(),
            selection: Some(selection(&options.selecting)),
            archives: archives::named(&file),
            goal: wire::Goal::Remove.into(),
            purge: options.purge,
            patience_ms: status::PATIENCE_MS,
            ..Default::default()
        };
        let plan = ask(&mut client, request).await?;
        let document = PlanDocument::from(&plan);
        install::refuse_problems(context, &document)?;
        if document.is_empty() {
            context.printer.document(&RunDocument::nothing(None));
            return Ok(Exit::Done);
        }
        context.printer.show(&document);
        if !options.yes && !confirmed(context, &file, options.purge)? {
            context
                .printer
                .note("nothing was removed: the name was not typed");
            return Ok(Exit::Done);
        }
        let run = install::start(
            context,
            &mut client,
            &plan,
            wire::OnFailure::Continue,
            "stack uninstall",
            Duration::ZERO,
        );
        let run = run.await?;
        follow::to_the_end(context, &mut client, &run).await
    })
}

/// Deleting data takes the fleet's full name, all else the cluster's.
fn confirmed(context: &Context, file: &StackFile, purge: bool) -> Result<bool, CliError> {
    let fleet = file
        .stack
        .fleet
        .as_ref()
        .filter(|_| purge)
        .map(ToString::to_string);
    let (what, name) = match fleet {
        Some(fleet) => ("Data folders are deleted too. Type the fleet's name", fleet),
        None => (
            "Data folders are kept. Type the cluster's name",
            file.stack.cluster.name.clone(),
        ),
    };
    context
        .printer
        .confirm_by_name(&format!("{what} ({name}):"), &name, "--yes")
}
