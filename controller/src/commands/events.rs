//! `events`.

use foundry_proto::operator::v1 as wire;

use super::fleet;
use super::stackfile::StackFile;
use crate::api::client::refusal;
use crate::cli::args::Events;
use crate::cli::{CliError, Context, Exit, runtime};
use crate::output::json::event::EventDocument;

pub(super) fn run(context: &Context, options: Events) -> Result<Exit, CliError> {
    let file = StackFile::load(context)?;
    let Some(paths) = fleet::of_file(context, &file)? else {
        context
            .printer
            .note("nothing has happened yet: no host is enrolled");
        return Ok(Exit::Done);
    };
    runtime::block_on(async {
        let mut client = fleet::controller(context, &file, &paths).await?;
        let request = wire::EventsRequest {
            follow: options.follow,
            after: 0,
            most: options.lines,
            hosts: options.hosts,
        };
        let events = client
            .events(request)
            .await
            .map_err(|status| refusal(&status))?;
        print(context, events.into_inner(), options.follow).await
    })
}

async fn print(
    context: &Context,
    mut events: tonic::Streaming<wire::EventRecord>,
    follow: bool,
) -> Result<Exit, CliError> {
    loop {
        let event = tokio::select! {
            event = events.message() => event.map_err(|status| refusal(&status))?,
            _ = tokio::signal::ctrl_c() => return Err(CliError::interrupted()),
        };
        match event {
            Some(event) => context.printer.row(&EventDocument::from(&event)),
            None if follow => return Err(CliError::failed("the controller ended")),
            None => return Ok(Exit::Done),
        }
        if context.printer.is_closed() {
            return Ok(Exit::Done);
        }
    }
}
