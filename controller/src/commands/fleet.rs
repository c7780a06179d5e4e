//! From a file to its fleet, and to the controller of that fleet.

use foundry_proto::FleetId;
use foundry_proto::operator::v1 as wire;
use foundry_spec::{FleetName, edit};

use super::archives;
use super::stackfile::StackFile;
use crate::api::client::{Client, Start, connect, refusal};
use crate::cli::{CliError, Context};
use crate::state::{self, Paths, StateError};

/// The state of the file's fleet; `None`: the file names no fleet yet.
///
/// # Errors
///
/// The fleet that it names has no state here, or its state is not safe.
pub(super) fn of_file(context: &Context, file: &StackFile) -> Result<Option<Paths>, CliError> {
    if let Some(at) = &file.stack.controller.at {
        let error = CliError::config(format!("the controller is on another machine ({at})"));
        return Err(error.hint("run foundry there: this version cannot reach it from here"));
    }
    match &file.stack.fleet {
        Some(name) => open(context, &name.to_string()).map(Some),
        None => Ok(None),
    }
}

/// The state of the fleet of this name.
pub(super) fn open(context: &Context, name: &str) -> Result<Paths, CliError> {
    let fleet: FleetId = name.parse().map_err(CliError::config)?;
    state::open_fleet(&context.environment.home, &fleet).map_err(refused)
}

/// The state of the file's fleet, made now where the file names none: this is a change.
pub(super) fn of_file_or_new(context: &Context, file: &mut StackFile) -> Result<Paths, CliError> {
    if let Some(paths) = of_file(context, file)? {
        return Ok(paths);
    }
    let home = &context.environment.home;
    let fleet = state::create_fleet(home, &file.stack.cluster.name).map_err(refused)?;
    let paths = Paths::new(home, &fleet);
    let written = file.edit(|source| {
        let name: FleetName = fleet
            .as_str()
            .parse()
            .map_err(|_| edit::EditError::Untouchable {
                line: 1,
                why: "the name of the new fleet does not fit",
            })?;
        edit::set_fleet(source, &name)
    });
    if let Err(error) = written {
        // A fleet that no file names would never be found again.
        let _ = fs_err::remove_dir_all(paths.dir());
        return Err(error);
    }
    context
        .printer
        .detail(&format!("made fleet {fleet} in {}", paths.dir()));
    Ok(paths)
}

/// The controller of the fleet, started where none runs.
pub(super) async fn controller(
    context: &Context,
    file: &StackFile,
    paths: &Paths,
) -> Result<Client, CliError> {
    let start = Start::At {
        listen: file.stack.controller.listen.to_string(),
    };
    Ok(connect(&context.environment, paths, &start).await?)
}

/// Refuses to enrol hosts with a controller that no agent could dial.
pub(super) async fn refuse_deaf(client: &mut Client) -> Result<(), CliError> {
    let info = info(client).await?;
    if info.listen_error.is_empty() {
        return Ok(());
    }
    let what = "the controller does not listen for agents";
    Err(CliError::because(what, info.listen_error)
        .hint("free that port, or set another address: `controller.listen` in stack.yaml"))
}

/// A controller that has no hosts yet moves to where the file says that it listens: a plan makes it do so.
pub(super) async fn listen_as_declared(
    client: &mut Client,
    file: &StackFile,
) -> Result<(), CliError> {
    let info = info(client).await?;
    if info.hosts > 0 || info.listen == file.stack.controller.listen.to_string() {
        return Ok(());
    }
    let request = wire::PlanRequest {
        spec: file.source.clone().into(),
        archives: archives::named(file),
        goal: wire::Goal::Install.into(),
        ..Default::default()
    };
    client
        .plan(request)
        .await
        .map(drop)
        .map_err(|status| refusal(&status))
}

async fn info(client: &mut Client) -> Result<wire::Info, CliError> {
    let info = client.get_info(wire::GetInfoRequest {}).await;
    Ok(info.map_err(|status| refusal(&status))?.into_inner())
}

fn refused(error: StateError) -> CliError {
    let hints = error.hints();
    CliError::config(error).hints(hints)
}
