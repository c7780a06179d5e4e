//! Which tasks this agent knows whole.

use foundry_proto::FEATURE_LEVEL;
use foundry_proto::agent::v1::Task;
use foundry_proto::agent::v1::task::Kind;

/// What of the task this agent does not know, if anything: such a task is refused, never done in part.
pub fn unsupported(task: &Task) -> Option<String> {
    if task.feature_level > FEATURE_LEVEL {
        return Some(format!("feature level {}", task.feature_level));
    }
    if !task.slots.is_empty() {
        return Some("tasks with sensitive values".to_owned());
    }
    match &task.kind {
        None => Some("a kind of task that it has never heard of".to_owned()),
        Some(Kind::K3sNode(_)) => Some("K3s nodes".to_owned()),
        Some(
            Kind::Directory(_)
            | Kind::File(_)
            | Kind::Unit(_)
            | Kind::Image(_)
            | Kind::ContainerService(_)
            | Kind::Package(_)
            | Kind::Command(_),
        ) => None,
    }
}
