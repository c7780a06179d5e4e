//! `controller run`, `controller status`, `controller stop`.

use std::time::Duration;

use foundry_proto::operator::v1 as wire;
use tracing_subscriber::EnvFilter;

use super::fleet;
use super::stackfile::StackFile;
use crate::api::client::spawn::READY;
use crate::api::client::{ConnectError, Start, connect, refusal};
use crate::cli::args::{ControllerCommand, ControllerRun};
use crate::cli::{CliError, Context, Exit, runtime};
use crate::daemon;
use crate::output::json::controller::ControllerDocument;
use crate::state::{FleetLock, Paths};

/// How long a controller that was told to end may take: it gives what is under way a grace.
const GOODBYE: Duration = Duration::from_secs(15);

pub(super) fn run(context: &Context, command: ControllerCommand) -> Result<Exit, CliError> {
    match command {
        ControllerCommand::Run(options) => serve(context, &options),
        ControllerCommand::Status => status(context),
        ControllerCommand::Stop { force } => stop(context, force),
    }
}

fn status(context: &Context) -> Result<Exit, CliError> {
    let file = StackFile::load(context)?;
    let Some(paths) = fleet::of_file(context, &file)? else {
        context.printer.document(&ControllerDocument::absent(None));
        return Ok(Exit::Done);
    };
    let document = runtime::block_on(async {
        let mut client = match connect(&context.environment, &paths, &Start::Never).await {
            Ok(client) => client,
            Err(ConnectError::Absent { fleet }) => {
                return Ok(ControllerDocument::absent(Some(fleet.to_string())));
            }
            Err(error) => return Err(error.into()),
        };
        let info = client.get_info(wire::GetInfoRequest {}).await;
        Ok(ControllerDocument::from(
            &info.map_err(|status| refusal(&status))?.into_inner(),
        ))
    })?;
    context.printer.document(&document);
    Ok(Exit::Done)
}

fn stop(context: &Context, force: bool) -> Result<Exit, CliError> {
    let file = StackFile::load(context)?;
    let Some(paths) = fleet::of_file(context, &file)? else {
        context
            .printer
            .note("no controller is running: the file names no fleet yet");
        return Ok(Exit::Done);
    };
    runtime::block_on(async {
        match connect(&context.environment, &paths, &Start::Never).await {
            Err(ConnectError::Absent { .. }) => context.printer.note("no controller is running"),
            Err(error) => return Err(error.into()),
            Ok(mut client) => {
                let reply = client.shutdown(wire::ShutdownRequest { force }).await;
                reply.map_err(|status| refusal(&status))?;
                // Another may start once this one has let go of the fleet.
                if tokio::time::timeout(GOODBYE, let_go(&paths)).await.is_err() {
                    context.printer.note("the controller is still ending");
                    return Ok(Exit::Done);
                }
                context
                    .printer
                    .note("the controller ended; agents go on with what they have");
            }
        }
        Ok(Exit::Done)
    })
}

/// Until nobody holds the fleet.
async fn let_go(paths: &Paths) {
    while FleetLock::acquire(paths).is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn serve(context: &Context, options: &ControllerRun) -> Result<Exit, CliError> {
    if options.background {
        // It fails only for the leader of a process group, which needs no new session.
        let _ = rustix::process::setsid();
    }
    let fleet = match &options.fleet {
        Some(name) => fleet::open(context, name)?,
        None => {
            let file = StackFile::load(context)?;
            fleet::of_file(context, &file)?.ok_or_else(|| {
                CliError::config(format!("{} names no fleet yet", file.path)).hint(
                    "the first change makes one: `foundry host bootstrap`, `foundry stack install`",
                )
            })?
        }
    };
    start_log(context);
    let printer = context.printer.clone();
    let ready = move |ready: daemon::Ready| {
        if options.background {
            return printer.signal(READY);
        }
        printer.note(&format!("serving commands at {}", ready.socket));
        match ready.listen_error.is_empty() {
            true => printer.note(&format!("listening for agents at {}", ready.listen)),
            false => printer.warning(&format!("not listening for agents: {}", ready.listen_error)),
        }
    };
    let daemon = daemon::Options {
        home: context.environment.home.clone(),
        fleet: fleet.fleet().clone(),
        idle_exit: options.idle_exit,
        listen: options.listen.clone(),
    };
    runtime::block_on_all_cores(async {
        let stop = daemon::stop_on_signals().map_err(refused)?;
        daemon::run(daemon, stop, ready).await.map_err(refused)?;
        Ok(Exit::Done)
    })
}

fn refused(error: daemon::DaemonError) -> CliError {
    let hints = error.hints();
    CliError::failed(error).hints(hints)
}

/// The controller's log goes to standard error: the terminal's, or the file that whoever started it has opened.
fn start_log(context: &Context) {
    let level = if context.printer.settings().verbose {
        "debug"
    } else {
        "info"
    };
    let wanted = context.environment.log.as_deref().unwrap_or(level);
    let filter = EnvFilter::try_new(wanted).unwrap_or_else(|_| EnvFilter::new(level));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let log = log.with_ansi(context.printer.settings().color_err);
    // A second subscriber is refused: then there is a log already.
    let _ = log.try_init();
}
