//! `service list`.

use foundry_proto::operator::v1 as wire;
use foundry_spec::Service;

use super::stackfile::StackFile;
use super::{fleet, status};
use crate::api::client::refusal;
use crate::cli::args::ServiceCommand;
use crate::cli::{CliError, Context, Exit, runtime};
use crate::output::json::service::{PlacementDocument, ServiceDocument, ServicesDocument};
use crate::output::json::status::StatusDocument;

pub(super) fn run(context: &Context, command: &ServiceCommand) -> Result<Exit, CliError> {
    let ServiceCommand::List = command;
    let file = StackFile::load(context)?;
    let state = match fleet::of_file(context, &file)? {
        None => status::not_enrolled(&file, &[])?,
        Some(paths) => runtime::block_on(async {
            let mut client = fleet::controller(context, &file, &paths).await?;
            let request = status::request(&file, wire::Selection::default(), false);
            let reports = client
                .status(request)
                .await
                .map_err(|status| refusal(&status))?;
            Ok(StatusDocument::from(
                &status::last(reports.into_inner()).await?,
            ))
        })?,
    };
    let services = file
        .stack
        .services
        .iter()
        .map(|service| describe(service, &state))
        .collect();
    context.printer.document(&ServicesDocument { services });
    Ok(Exit::Done)
}

fn describe(service: &Service, state: &StatusDocument) -> ServiceDocument {
    let name = format!("service/{}", service.name);
    let hosts = service.hosts.iter().map(|hostname| {
        let host = state
            .hosts
            .iter()
            .find(|host| host.name == hostname.as_str());
        let assignment = host.and_then(|host| host.assignments.iter().find(|a| a.name == name));
        PlacementDocument {
            host: hostname.to_string(),
            host_state: host.map_or("unknown", |host| host.state),
            assignment: assignment.cloned(),
        }
    });
    ServiceDocument {
        name: service.name.to_string(),
        image: service.image.to_string(),
        ports: service.ports.iter().map(ToString::to_string).collect(),
        hosts: hosts.collect(),
    }
}
