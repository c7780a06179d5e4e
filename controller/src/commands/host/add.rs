//! `host add`: a host written into the file, everything else left as it is.

use foundry_spec::edit::{self, NewHost};

use super::super::stackfile::StackFile;
use crate::cli::args::Add;
use crate::cli::{CliError, Context, Exit, Kind};
use crate::output::json::config::WrittenDocument;

pub(super) fn run(context: &Context, options: Add) -> Result<Exit, CliError> {
    let mut file = StackFile::load(context)?;
    let wrong = |cause: Box<dyn std::error::Error + Send + Sync>| {
        CliError::because("this is no host", cause).of_kind(Kind::Usage)
    };
    let host = NewHost {
        hostname: options
            .name
            .parse()
            .map_err(|error| wrong(Box::new(error) as _))?,
        address: options
            .address
            .parse()
            .map_err(|error| wrong(Box::new(error) as _))?,
        user: options.user,
        port: options.port,
    };
    if file.stack.host(&options.name).is_some() {
        return Err(CliError::usage(format!(
            "{} has a host `{}` already",
            file.path, options.name
        )));
    }
    file.edit(|source| edit::add_host(source, &host))?;
    context.printer.document(&WrittenDocument {
        file: file.path.to_string(),
        fleet: file.stack.fleet.as_ref().map(ToString::to_string),
        message: format!("added {} to {}", options.name, file.path),
    });
    context.printer.hint(&format!(
        "bring the agent to it: `foundry host bootstrap {}`",
        options.name
    ));
    Ok(Exit::Done)
}
