//! `status`, and `stack status`.

use foundry_proto::operator::v1 as wire;

use super::stackfile::StackFile;
use super::{fleet, stack};
use crate::api::client::refusal;
use crate::cli::args::Status;
use crate::cli::{CliError, Context, Exit, runtime};
use crate::output::json::status::StatusDocument;

/// How long silent agents may take to come.
pub(super) const PATIENCE_MS: u64 = 2000;

pub(super) fn run(context: &Context, options: &Status) -> Result<Exit, CliError> {
    let file = StackFile::load(context)?;
    let Some(paths) = fleet::of_file(context, &file)? else {
        let document = not_enrolled(&file, &options.selecting.hosts)?;
        context.printer.document(&document);
        return Ok(exit(&document));
    };
    runtime::block_on(async {
        let mut client = fleet::controller(context, &file, &paths).await?;
        let request = request(&file, stack::selection(&options.selecting), options.watch);
        let reports = client
            .status(request)
            .await
            .map_err(|status| refusal(&status))?;
        if options.watch {
            watch(context, reports.into_inner()).await
        } else {
            once(context, reports.into_inner()).await
        }
    })
}

/// The request for the state of what the file declares.
pub(super) fn request(
    file: &StackFile,
    selection: wire::Selection,
    watch: bool,
) -> wire::StatusRequest {
    wire::StatusRequest {
        spec: file.source.clone().into(),
        selection: Some(selection),
        watch,
        patience_ms: PATIENCE_MS,
    }
}

/// The last report of a stream that ends: the first may be older.
pub(super) async fn last(
    mut reports: tonic::Streaming<wire::StatusReport>,
) -> Result<wire::StatusReport, CliError> {
    let mut last = wire::StatusReport::default();
    while let Some(report) = reports.message().await.map_err(|status| refusal(&status))? {
        last = report;
    }
    Ok(last)
}

/// Hosts of a file that no fleet knows.
pub(super) fn not_enrolled(
    file: &StackFile,
    selected: &[String],
) -> Result<StatusDocument, CliError> {
    stack::refuse_unmatched(file, selected, &[])?;
    let hosts = file.stack.hosts.iter();
    let hosts = hosts.filter(|host| {
        selected.is_empty() || selected.iter().any(|name| name == host.hostname.as_str())
    });
    Ok(StatusDocument::not_enrolled(hosts.map(|host| {
        (host.hostname.as_str(), host.address.to_string())
    })))
}

async fn once(
    context: &Context,
    reports: tonic::Streaming<wire::StatusReport>,
) -> Result<Exit, CliError> {
    let document = StatusDocument::from(&last(reports).await?);
    context.printer.document(&document);
    Ok(exit(&document))
}

async fn watch(
    context: &Context,
    mut reports: tonic::Streaming<wire::StatusReport>,
) -> Result<Exit, CliError> {
    let mut newest = None;
    loop {
        let report = tokio::select! {
            report = reports.message() => report.map_err(|status| refusal(&status))?,
            _ = tokio::signal::ctrl_c() => return Err(CliError::interrupted()),
        };
        let Some(report) = report else {
            return Err(
                CliError::failed("the controller ended").hint("watch again: it is started anew")
            );
        };
        let document = StatusDocument::from(&report);
        if newest.as_ref() != Some(&document) {
            context.printer.state(&document);
        }
        if context.printer.is_closed() {
            return Ok(Exit::Done);
        }
        newest = Some(document);
    }
}

/// Never green by default.
fn exit(document: &StatusDocument) -> Exit {
    if document.overall == "healthy" {
        Exit::Done
    } else {
        Exit::Partial
    }
}
