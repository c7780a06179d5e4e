//! The kinds of tasks: which of them this agent knows whole, and what each does.

use foundry_proto::FEATURE_LEVEL;
use foundry_proto::agent::v1::image::Source;
use foundry_proto::agent::v1::task::Kind;
use foundry_proto::agent::v1::{Switch, Task, Unit};

use super::difference::Difference;
use super::{Context, Removed, TaskError, command, directory, file, image, package, service, unit};

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
        Some(Kind::Unit(unit)) => unsupported_switch(unit),
        Some(Kind::Image(image)) => match &image.source {
            Some(Source::Pull(pull)) if !pull.credentials_slot.is_empty() => {
                Some("registries with credentials".to_owned())
            }
            Some(Source::Pull(_) | Source::Archive(_)) | None => None,
        },
        Some(
            Kind::Directory(_)
            | Kind::File(_)
            | Kind::ContainerService(_)
            | Kind::Package(_)
            | Kind::Command(_),
        ) => None,
    }
}

fn unsupported_switch(unit: &Unit) -> Option<String> {
    let mut switches = [unit.enabled, unit.running].into_iter();
    let odd = switches.find(|switch| Switch::try_from(*switch).is_err())?;
    Some(format!("a switch with value {odd}"))
}

/// The task's kind, where the agent knows the task whole.
fn kind(task: &Task) -> Result<&Kind, TaskError> {
    match (unsupported(task), &task.kind) {
        (Some(what), _) => Err(TaskError::Unsupported(what)),
        (None, Some(kind)) => Ok(kind),
        (None, None) => Err(TaskError::Unsupported("a task without a kind".to_owned())),
    }
}

/// What differs from what the task wants. Writes nothing.
pub(super) async fn difference(
    cx: &Context,
    task: &Task,
    changed_before: &[String],
) -> Result<Difference, TaskError> {
    match kind(task)? {
        Kind::Directory(task) => directory::observe(cx, task).await,
        Kind::File(task) => file::observe(cx, task).await,
        Kind::Unit(task) => unit::observe(cx, task, changed_before).await,
        Kind::Image(task) => image::observe(cx, task).await,
        Kind::ContainerService(task) => service::observe(cx, task).await,
        Kind::Package(task) => package::observe(cx, task).await,
        Kind::Command(task) => command::observe(cx, task).await,
        Kind::K3sNode(_) => Err(TaskError::Unsupported("K3s nodes".to_owned())),
    }
}

/// Makes it so, without a look at what differs.
pub(super) async fn carry_out(
    cx: &Context,
    task: &Task,
    previous: Option<&Task>,
    changed_before: &[String],
) -> Result<(), TaskError> {
    match kind(task)? {
        Kind::Directory(task) => directory::apply(cx, task).await,
        Kind::File(task) => file::apply(cx, task).await,
        Kind::Unit(unit) => {
            let previous = match previous.and_then(|previous| previous.kind.as_ref()) {
                Some(Kind::Unit(previous)) => Some(previous),
                _ => None,
            };
            unit::apply(cx, &task.id, unit, previous, changed_before).await
        }
        Kind::Image(image) => image::apply(cx, &task.id, image).await,
        Kind::ContainerService(service) => service::apply(cx, &task.id, service).await,
        Kind::Package(package) => package::apply(cx, &task.id, package).await,
        Kind::Command(task) => command::apply(cx, task).await,
        Kind::K3sNode(_) => Err(TaskError::Unsupported("K3s nodes".to_owned())),
    }
}

/// Waits until what runs already is sure to go on running.
pub(super) async fn confirm(cx: &Context, task: &Task) -> Result<(), TaskError> {
    match kind(task)? {
        Kind::Unit(task) => unit::confirm(cx, task).await,
        Kind::ContainerService(task) => service::confirm(cx, task).await,
        Kind::Directory(_)
        | Kind::File(_)
        | Kind::Image(_)
        | Kind::Package(_)
        | Kind::Command(_)
        | Kind::K3sNode(_) => Ok(()),
    }
}

/// Undoes what the task had made.
pub(super) async fn undo(cx: &Context, task: &Task, purge: bool) -> Result<Removed, TaskError> {
    match kind(task)? {
        Kind::Directory(task) => directory::remove(cx, task, purge).await,
        Kind::File(task) => file::remove(cx, task).await,
        Kind::Unit(task) => unit::remove(cx, task).await,
        Kind::Image(task) => image::remove(cx, task).await,
        Kind::ContainerService(task) => service::remove(cx, task, purge).await,
        Kind::Package(task) => package::remove(cx, task).await,
        // What it made is not known.
        Kind::Command(_) => Ok(Removed::default()),
        Kind::K3sNode(_) => Err(TaskError::Unsupported("K3s nodes".to_owned())),
    }
}

/// Whether both are about the same thing on the host: the same path, the same unit.
pub(super) fn same_thing(task: &Task, other: &Task) -> bool {
    match (&task.kind, &other.kind) {
        (Some(Kind::Directory(a)), Some(Kind::Directory(b))) => a.path == b.path,
        (Some(Kind::File(a)), Some(Kind::File(b))) => a.path == b.path,
        (Some(Kind::Unit(a)), Some(Kind::Unit(b))) => a.name == b.name,
        (Some(Kind::ContainerService(a)), Some(Kind::ContainerService(b))) => a.name == b.name,
        (Some(Kind::Image(a)), Some(Kind::Image(b))) => a.reference == b.reference,
        // Packages and commands are not undone.
        (Some(a), Some(b)) => std::mem::discriminant(a) == std::mem::discriminant(b),
        (_, None) | (None, _) => true,
    }
}
