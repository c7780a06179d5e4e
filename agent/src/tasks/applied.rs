//! Bringing tasks about, and undoing them.

use foundry_proto::agent::v1::Task;

use super::{Context, TaskError, unsupported};

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
    _cx: &Context,
    task: &Task,
    _previous: Option<&Task>,
    _changed_before: &[String],
) -> Result<Applied, TaskError> {
    if let Some(what) = unsupported(task) {
        return Err(TaskError::Unsupported(what));
    }
    Err(TaskError::Unsupported("every kind".to_owned()))
}

/// Undoes what the task had made. Data stays, and is listed, unless `purge`. Undoing twice is no error.
pub async fn remove(_cx: &Context, task: &Task, _purge: bool) -> Result<Removed, TaskError> {
    if let Some(what) = unsupported(task) {
        return Err(TaskError::Unsupported(what));
    }
    Err(TaskError::Unsupported("every kind".to_owned()))
}
