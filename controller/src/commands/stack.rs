//! `stack plan`, `install`, `status`, `validate`, `uninstall`.

mod draft;
mod enrol;
mod follow;
mod install;
mod plan;
mod uninstall;
mod validate;

use foundry_proto::operator::v1 as wire;

use super::stackfile::StackFile;
use super::status;
use crate::cli::args::{Selecting, StackCommand};
use crate::cli::{CliError, Context, Exit};

pub(super) fn run(context: &Context, command: StackCommand) -> Result<Exit, CliError> {
    match command {
        StackCommand::Plan(options) => plan::run(context, &options),
        StackCommand::Install(options) => install::run(context, &options),
        StackCommand::Status(options) => status::run(context, &options),
        StackCommand::Validate => validate::run(context),
        StackCommand::Uninstall(options) => uninstall::run(context, &options),
    }
}

/// A selection as the controller takes it.
pub(super) fn selection(selecting: &Selecting) -> wire::Selection {
    wire::Selection {
        hosts: selecting.hosts.clone(),
        services: selecting.services.clone(),
        components: Vec::new(),
    }
}

/// A selector that matches nothing is an error: it never selects everything.
pub(super) fn refuse_unmatched(
    file: &StackFile,
    hosts: &[String],
    services: &[String],
) -> Result<(), CliError> {
    let known_hosts: Vec<_> = file
        .stack
        .hosts
        .iter()
        .map(|host| host.hostname.as_str())
        .collect();
    let known: Vec<_> = file
        .stack
        .services
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    for (kind, names, known) in [("host", hosts, known_hosts), ("service", services, known)] {
        if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(unknown(file, kind, name, &known));
        }
    }
    Ok(())
}

/// There is no such host or service in the file.
pub(super) fn unknown(file: &StackFile, kind: &str, name: &str, known: &[&str]) -> CliError {
    let error = CliError::usage(format!("{} has no {kind} `{name}`", file.path));
    let nearest = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, known)| *distance <= known.len().max(3) / 3)
        .min();
    match nearest {
        Some((_, nearest)) => error.hint(format!("did you mean `{nearest}`?")),
        None if known.is_empty() => error.hint(format!("it has no {kind}s at all")),
        None => error.hint(format!("it has {}", known.join(", "))),
    }
}
