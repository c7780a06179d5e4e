//! What is different from what should be.

use foundry_proto::agent::v1::{Action, Task, TaskDiff};

use super::difference::Difference;
use super::{Context, TaskError, kinds};

/// What applying these tasks in their order would change. Writes nothing.
///
/// What a task finds missing may be what one before it brings, a runtime by its package: then it is to be created, as
/// far as can be told, and not blocked.
pub async fn observe(cx: &Context, tasks: &[Task]) -> Result<Vec<TaskDiff>, TaskError> {
    let mut diffs: Vec<TaskDiff> = Vec::with_capacity(tasks.len());
    let mut changing = Vec::new();
    for task in tasks {
        let diff = observe_after(cx, task, &changing, changing.last()).await?;
        if matches!(
            diff.action(),
            Action::Create | Action::Update | Action::Remove
        ) {
            changing.push(task.id.clone());
        }
        diffs.push(diff);
    }
    Ok(diffs)
}

async fn observe_after(
    cx: &Context,
    task: &Task,
    changing: &[String],
    last: Option<&String>,
) -> Result<TaskDiff, TaskError> {
    let (action, diff) = match kinds::difference(cx, task, changing).await {
        Ok(Difference::None) => (Action::Unchanged, String::new()),
        Ok(Difference::Change { action, text }) => (action, text),
        Ok(Difference::Blocked(text)) => (Action::Blocked, text),
        Ok(Difference::Waiting(text)) => match last {
            Some(last) => (Action::Create, format!("known after {last} ({text})")),
            None => (Action::Blocked, text),
        },
        Err(TaskError::Unsupported(what)) => (Action::Unsupported, what),
        Err(error) => return Err(error),
    };
    Ok(TaskDiff {
        task: task.id.clone(),
        action: action.into(),
        diff,
    })
}
