//! A plan without a controller: for a file whose fleet does not exist yet, every host is bare.

use foundry_plan::{Goal, HostView, Inputs, Selection, View};

use super::super::archives::Archive;
use super::super::stackfile::StackFile;
use super::refuse_unmatched;
use crate::cli::args::Selecting;
use crate::cli::{CliError, Kind};
use crate::output::json::plan::PlanDocument;
use crate::stack;

/// What `stack install` would do on hosts that have nothing of foundry on them.
pub(super) fn plan(
    file: &StackFile,
    selecting: &Selecting,
    archives: &[Archive],
) -> Result<PlanDocument, CliError> {
    refuse_unmatched(file, &selecting.hosts, &selecting.services)?;
    let archives: Vec<_> = archives
        .iter()
        .map(|archive| stack::Archive::try_from(&archive.described).map_err(CliError::failed))
        .collect::<Result<_, _>>()?;
    let desired = stack::desired(&file.stack, &archives).map_err(|errors| {
        let mut messages = errors.into_iter().map(|error| error.to_string());
        let first = messages.next().unwrap_or_default();
        CliError::because(format!("{} cannot be planned", file.path), first)
            .of_kind(Kind::Config)
            .hints(messages)
    })?;
    let hosts = file.stack.hosts.iter().map(|host| {
        let host = host.hostname.as_str().parse().map_err(CliError::config)?;
        Ok(HostView {
            host,
            view: View::NotEnrolled,
        })
    });
    let plan = foundry_plan::plan(&Inputs {
        goal: Goal::Install,
        selection: Selection {
            hosts: selecting.hosts.iter().cloned().collect(),
            services: selecting.services.iter().cloned().collect(),
            ..Selection::default()
        },
        hosts: hosts.collect::<Result<_, CliError>>()?,
        desired,
        ..Inputs::default()
    });
    Ok(PlanDocument::from(&plan))
}
