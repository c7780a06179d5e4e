//! What is different from what should be.

use foundry_proto::agent::v1::{Action, Task, TaskDiff};

use super::{Context, TaskError, unsupported};

/// What applying the task would change. Writes nothing.
pub async fn observe(_cx: &Context, task: &Task) -> Result<TaskDiff, TaskError> {
    let diff = |action: Action, text| TaskDiff {
        task: task.id.clone(),
        action: action.into(),
        diff: text,
    };
    if let Some(what) = unsupported(task) {
        return Ok(diff(Action::Unsupported, what));
    }
    Err(TaskError::Unsupported("every kind".to_owned()))
}

/// What applying these tasks in their order would change.
pub async fn observe_all(cx: &Context, tasks: &[Task]) -> Result<Vec<TaskDiff>, TaskError> {
    let mut diffs = Vec::with_capacity(tasks.len());
    for task in tasks {
        diffs.push(observe(cx, task).await?);
    }
    Ok(diffs)
}
