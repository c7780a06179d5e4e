//! `config init`, `config validate`, `config show`.

mod init;

use serde::Serialize;

use super::stackfile;
use super::stackfile::StackFile;
use crate::cli::args::ConfigCommand;
use crate::cli::{CliError, Context, Exit};
use crate::output::json::config::ValidDocument;
use crate::output::{Document, Page};

pub(super) fn run(context: &Context, command: ConfigCommand) -> Result<Exit, CliError> {
    match command {
        ConfigCommand::Init(options) => init::run(context, options),
        ConfigCommand::Validate => validate(context),
        ConfigCommand::Show => show(context),
    }
}

fn validate(context: &Context) -> Result<Exit, CliError> {
    let file = StackFile::read(stackfile::locate(context)?)?;
    context.printer.document(&ValidDocument {
        file: file.path.to_string(),
        valid: true,
        warnings: file.warnings,
        checks: Vec::new(),
    });
    Ok(Exit::Done)
}

/// The file's model; for people as YAML, which is what they write.
#[derive(Serialize)]
#[serde(transparent)]
struct Shown<'a>(&'a foundry_spec::Stack);

impl Document for Shown<'_> {
    fn draw(&self, page: &mut Page) {
        let text = serde_saphyr::to_string(self.0).unwrap_or_default();
        for line in text.lines() {
            page.line(line);
        }
    }
}

fn show(context: &Context) -> Result<Exit, CliError> {
    let file = StackFile::load(context)?;
    context.printer.document(&Shown(&file.stack));
    Ok(Exit::Done)
}
