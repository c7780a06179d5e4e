//! What would change: the answer to Observe. Writes nothing.

use std::time::Duration;

use foundry_proto::agent::v1::{
    Action, Assignment, ObserveItem, ObservedAssignment, Task, TaskDiff, task::Kind,
};
use futures_util::stream::{self, StreamExt as _};
use prost::Message as _;
use tokio::time::timeout;

use super::Shared;
use crate::error_chain::ErrorChain;
use crate::tasks::{self, ProgressSink};

/// Assignments that are looked at side by side.
const SIDE_BY_SIDE: usize = 8;

/// How long looking at one assignment may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Each item's differences, in the order in which they were asked for.
pub(super) async fn observe(shared: &Shared, items: Vec<ObserveItem>) -> Vec<ObservedAssignment> {
    stream::iter(items)
        .map(|item| async move {
            let found = timeout(LIMIT, observe_item(shared, &item)).await;
            let found = found.unwrap_or_else(|_| {
                Err(format!(
                    "looking at it took longer than {} s",
                    LIMIT.as_secs()
                ))
            });
            let (diffs, error) = match found {
                Ok(diffs) => (diffs, String::new()),
                Err(error) => (Vec::new(), error),
            };
            ObservedAssignment {
                name: item.name,
                diffs,
                error,
            }
        })
        .buffered(SIDE_BY_SIDE)
        .collect()
        .await
}

async fn observe_item(shared: &Shared, item: &ObserveItem) -> Result<Vec<TaskDiff>, String> {
    let assignment = Assignment::decode(item.content.clone())
        .map_err(|error| format!("the assignment cannot be read: {error}"))?;
    let held = shared
        .books
        .record(&item.name)
        .await
        .map_err(|error| error.to_string())?;
    let held = held.unwrap_or_default();
    if assignment.removed {
        return Ok(removals(held.to_undo(), assignment.purge));
    }
    let cx = shared.context(ProgressSink::none(), shared.stop.child_token());
    let mut diffs = tasks::observe(&cx, &assignment.tasks)
        .await
        .map_err(|error| ErrorChain(&error).to_string())?;
    diffs.extend(removals(held.left_over(&assignment.tasks), false));
    Ok(diffs)
}

/// What undoing these tasks takes away.
fn removals(tasks: Vec<Task>, purge: bool) -> Vec<TaskDiff> {
    tasks
        .into_iter()
        .filter(|task| purge || !holds_data(task))
        .map(|task| TaskDiff {
            task: task.id,
            action: Action::Remove.into(),
            diff: String::new(),
        })
        .collect()
}

fn holds_data(task: &Task) -> bool {
    matches!(&task.kind, Some(Kind::Directory(directory)) if directory.data)
}
