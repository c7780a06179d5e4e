//! `host add`, `list`, `bootstrap`, `remove`.

mod add;
pub(super) mod bootstrap;
mod list;
mod remove;

use std::io::Read as _;

use secrecy::SecretString;

use crate::cli::args::{Enrolling, HostCommand};
use crate::cli::{CliError, Context, Exit, Kind};

pub(super) fn run(context: &Context, command: HostCommand) -> Result<Exit, CliError> {
    match command {
        HostCommand::Add(options) => add::run(context, options),
        HostCommand::List => list::run(context),
        HostCommand::Bootstrap(options) => match &options.for_run {
            Some(run) => crate::bootstrap::for_run(&context.environment, &context.printer, run),
            None => bootstrap::run(context, &options),
        },
        HostCommand::Remove(options) => remove::run(context, &options),
    }
}

/// The longest password file that is read, in bytes.
const LONGEST_PASSWORD_FILE: u64 = 64 * 1024;

/// The password for sudo that a file or standard input holds in its first line.
pub(super) fn become_password(enrolling: &Enrolling) -> Result<Option<SecretString>, CliError> {
    let Some(path) = &enrolling.become_password_file else {
        return Ok(None);
    };
    let mut text = String::new();
    let read = if path == "-" {
        std::io::stdin()
            .lock()
            .take(LONGEST_PASSWORD_FILE)
            .read_to_string(&mut text)
    } else {
        fs_err::File::open(path)
            .and_then(|file| file.take(LONGEST_PASSWORD_FILE).read_to_string(&mut text))
    };
    read.map_err(|cause| {
        CliError::because("cannot read the password for sudo", cause).of_kind(Kind::Usage)
    })?;
    let text = zeroize::Zeroizing::new(text);
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(CliError::usage(
            "the file with the password for sudo has an empty first line",
        ));
    }
    Ok(Some(SecretString::from(line.to_owned())))
}
