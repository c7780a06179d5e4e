//! Bringing tasks about, and undoing them.

use foundry_proto::agent::v1::Task;
use foundry_proto::agent::v1::task::Kind;

use super::difference::Difference;
use super::{Context, TaskError, kinds};

/// How a task came about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// Whether anything was changed.
    pub changed: bool,
    /// What was, in a human's terms, without sensitive content.
    pub diff: String,
}

/// How a task was undone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Removed {
    /// What stays on purpose: data folders, packages, images.
    pub kept: Vec<String>,
}

/// Brings the task about and verifies it: returns when it is so, and for a unit when it goes on running.
///
/// `previous` is the task of the same id in the revision that was achieved last; `changed_before` are the ids of the
/// tasks of this assignment that this apply has changed already.
pub async fn apply(
    cx: &Context,
    task: &Task,
    previous: Option<&Task>,
    changed_before: &[String],
) -> Result<Applied, TaskError> {
    let difference = kinds::difference(cx, task, changed_before).await?;
    if let Difference::Blocked(text) = difference {
        return Err(TaskError::Blocked(text));
    }
    if let Some(moved) = previous.filter(|previous| !kinds::same_thing(task, previous)) {
        kinds::undo(cx, moved, false).await?;
    }
    if difference == Difference::None {
        kinds::confirm(cx, task).await?;
        return Ok(Applied::default());
    }
    // A difference that waits for something is tried: applying says best what is missing, and may bring it.
    let diff = difference.text().to_owned();
    if cx.cancel.is_cancelled() {
        return Err(TaskError::Cancelled);
    }
    kinds::carry_out(cx, task, previous, changed_before).await?;
    let left = kinds::difference(cx, task, &[]).await?;
    if left != Difference::None {
        return Err(not_achieved(task, left.text()));
    }
    Ok(Applied {
        changed: true,
        diff,
    })
}

/// Undoes what the task had made. Data stays, and is listed, unless `purge`. Undoing twice is no error.
pub async fn remove(cx: &Context, task: &Task, purge: bool) -> Result<Removed, TaskError> {
    kinds::undo(cx, task, purge).await
}

fn not_achieved(task: &Task, left: &str) -> TaskError {
    let program = match &task.kind {
        Some(Kind::Command(command)) => command.argv.first().cloned(),
        _ => None,
    };
    match program {
        Some(program) => TaskError::Guard {
            program,
            guard: left.to_owned(),
        },
        None => TaskError::NotAchieved(left.to_owned()),
    }
}
