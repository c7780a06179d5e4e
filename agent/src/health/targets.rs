//! What of an assignment can be healthy or not.

use foundry_proto::agent::v1::task::Kind;
use foundry_proto::agent::v1::{HealthCheck, Switch, Task};
use foundry_proto::layout::service_unit_stem;

use super::Check;

/// A unit that is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Its name.
    pub(super) unit: String,
    /// What it is asked; none: that it runs is enough.
    pub(super) check: Option<Check>,
}

/// The units that these tasks want to run.
pub(super) fn of(tasks: &[Task]) -> Vec<Target> {
    tasks.iter().filter_map(target).collect()
}

fn target(task: &Task) -> Option<Target> {
    match task.kind.as_ref()? {
        Kind::Unit(unit) => {
            let is_to_run = unit.running == i32::from(Switch::On) && !unit.absent;
            is_to_run.then(|| Target {
                unit: unit.name.clone(),
                check: check(unit.health.as_ref()),
            })
        }
        Kind::ContainerService(service) => Some(Target {
            unit: format!("{}.service", service_unit_stem(&service.name)),
            check: check(service.health.as_ref()),
        }),
        Kind::Directory(_)
        | Kind::File(_)
        | Kind::Image(_)
        | Kind::Package(_)
        | Kind::Command(_)
        | Kind::K3sNode(_) => None,
    }
}

/// A check that cannot be read was refused when the task was applied.
fn check(check: Option<&HealthCheck>) -> Option<Check> {
    Check::read(check).ok().flatten()
}
