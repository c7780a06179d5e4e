//! A command that tells by itself whether it still has to run.

use std::time::Duration;

use camino::Utf8Path;
use foundry_host::exec::Command as Run;
use foundry_proto::agent::v1::Command;
use foundry_proto::agent::v1::command::Guard;

use super::difference::Difference;
use super::{Context, TaskError};

/// How long a command may take, where it does not say.
const LIMIT: Duration = Duration::from_secs(600);

/// How long the guard may take.
const GUARD_LIMIT: Duration = Duration::from_secs(60);

/// The longest command line that is shown, in characters.
const SHOWN: usize = 200;

pub(super) async fn observe(cx: &Context, task: &Command) -> Result<Difference, TaskError> {
    let reason = match &task.guard {
        Some(Guard::Creates(path)) => {
            let is_there = cx.host.files.stat(Utf8Path::new(path)).await?.is_some();
            (!is_there).then(|| format!("{path} does not exist"))
        }
        Some(Guard::Unless(probe)) => {
            let guard = command(task, &probe.argv, GUARD_LIMIT);
            let program = guard.program().to_owned();
            let output = cx.host.exec.run(guard).await?;
            (!output.success()).then(|| format!("{program} {}", output.exit))
        }
        None => {
            return Err(TaskError::Invalid(
                "a command needs `creates` or `unless`".to_owned(),
            ));
        }
    };
    Ok(match reason {
        None => Difference::None,
        Some(reason) => Difference::create(format!("run {} ({reason})", shown(&task.argv))),
    })
}

pub(super) async fn apply(cx: &Context, task: &Command) -> Result<(), TaskError> {
    let limit = match task.timeout_ms {
        0 => LIMIT,
        limit => Duration::from_millis(limit),
    };
    let run = command(task, &task.argv, limit);
    let program = run.program().to_owned();
    tokio::select! {
        output = cx.host.exec.run(run) => {
            output?.or_failed(&program)?;
            Ok(())
        }
        // Dropped, its process group is killed.
        () = cx.cancel.cancelled() => Err(TaskError::Cancelled),
    }
}

fn command(task: &Command, argv: &[String], limit: Duration) -> Run {
    let directory = &task.working_directory;
    Run {
        argv: argv.to_vec(),
        env: task
            .env
            .iter()
            .map(|var| (var.name.clone(), var.value.clone()))
            .collect(),
        working_directory: (!directory.is_empty()).then(|| directory.into()),
        user: None,
        deadline: limit,
        live: None,
    }
}

fn shown(argv: &[String]) -> String {
    let line = argv.join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}
