//! `runs`.

use foundry_proto::operator::v1 as wire;

use super::fleet;
use super::stackfile::StackFile;
use crate::api::client::refusal;
use crate::cli::args::RunsCommand;
use crate::cli::{CliError, Context, Exit, runtime};
use crate::output::json::run::{RunDocument, RunsDocument};

pub(super) fn run(context: &Context, command: RunsCommand) -> Result<Exit, CliError> {
    let file = StackFile::load(context)?;
    let Some(paths) = fleet::of_file(context, &file)? else {
        return no_fleet(context, &command);
    };
    runtime::block_on(async {
        let mut client = fleet::controller(context, &file, &paths).await?;
        match command {
            RunsCommand::List { lines } => {
                let reply = client
                    .list_runs(wire::ListRunsRequest { most: lines })
                    .await;
                let runs = reply.map_err(|status| refusal(&status))?.into_inner().runs;
                let runs = runs.iter().map(RunDocument::from).collect();
                context.printer.document(&RunsDocument { runs });
            }
            RunsCommand::Show { run } => {
                let reply = client.get_run(wire::GetRunRequest { run }).await;
                let run = reply.map_err(|status| refusal(&status))?.into_inner();
                context.printer.document(&RunDocument::from(&run));
            }
        }
        Ok(Exit::Done)
    })
}

fn no_fleet(context: &Context, command: &RunsCommand) -> Result<Exit, CliError> {
    match command {
        RunsCommand::List { .. } => {
            context.printer.document(&RunsDocument { runs: Vec::new() });
            Ok(Exit::Done)
        }
        RunsCommand::Show { run } => Err(CliError::usage(format!(
            "there is no run `{run}`: nothing was installed yet"
        ))),
    }
}
