//! A small fleet to plan for.

use foundry_plan::{Desired, HostView, Inputs, Known, Observation, Phase, Plan, Revision, View};
use foundry_proto::agent::v1 as wire;
use foundry_proto::{AssignmentName, Hostname};

pub(crate) fn host(name: &str) -> Hostname {
    name.parse().expect("a hostname")
}

pub(crate) fn service(name: &str) -> AssignmentName {
    AssignmentName::service(name).expect("the name of a service")
}

/// Two tasks; `version` makes one content differ from another.
pub(crate) fn want(on: &str, name: &str, version: u32) -> Desired {
    let task = |id: &str| wire::Task {
        id: id.to_owned(),
        feature_level: version,
        ..wire::Task::default()
    };
    let name = service(name);
    let assignment = wire::Assignment {
        name: name.to_string(),
        tasks: vec![task("image"), task("service")],
        ..wire::Assignment::default()
    };
    Desired::new(host(on), name, assignment)
}

/// The host's record of exactly this content.
pub(crate) fn known(want: &Desired, revision: u64, phase: Phase) -> Known {
    Known {
        name: want.name.clone(),
        revision,
        digest: want.digest,
        phase,
        stored: false,
        message: String::new(),
    }
}

/// What is stored for a host that has nothing under this name.
pub(crate) fn stored(want: &Desired, revision: u64) -> Known {
    Known {
        stored: true,
        ..known(want, revision, Phase::Unspecified)
    }
}

pub(crate) fn diff(task: &str, action: wire::Action, diff: &str) -> wire::TaskDiff {
    wire::TaskDiff {
        task: task.to_owned(),
        action: action.into(),
        diff: diff.to_owned(),
    }
}

/// Each task with this answer.
pub(crate) fn all(want: &Desired, action: wire::Action) -> Observation {
    let tasks = want
        .assignment
        .tasks
        .iter()
        .map(|task| diff(&task.id, action, ""))
        .collect();
    Observation {
        name: want.name.clone(),
        tasks,
        error: String::new(),
    }
}

pub(crate) fn observed(on: &str, known: Vec<Known>, observed: Vec<Observation>) -> HostView {
    HostView {
        host: host(on),
        view: View::Observed { known, observed },
    }
}

pub(crate) fn unreachable(on: &str, known: Vec<Known>) -> HostView {
    let reason = "no sign of life for 14 min".to_owned();
    HostView {
        host: host(on),
        view: View::Unreachable { reason, known },
    }
}

pub(crate) fn bare(on: &str) -> HostView {
    HostView {
        host: host(on),
        view: View::NotEnrolled,
    }
}

pub(crate) fn inputs(hosts: Vec<HostView>, desired: Vec<Desired>) -> Inputs {
    Inputs {
        hosts,
        desired,
        ..Inputs::default()
    }
}

/// `node1/service/a>1 @0 after node1/enrol`
pub(crate) fn steps(plan: &Plan) -> Vec<String> {
    let step = |step: &foundry_plan::Step| {
        let revision = match step.order().map(|order| order.revision) {
            None => String::new(),
            Some(Revision::Above(revision)) => format!(">{revision}"),
            Some(Revision::Pending(revision)) => format!("={revision}"),
        };
        let after = if step.after.is_empty() {
            String::new()
        } else {
            format!(" after {}", step.after.join(", "))
        };
        format!("{}{revision} @{}{after}", step.id, step.wave)
    };
    plan.steps.iter().map(step).collect()
}

/// `+node1/service/a image: …`, a `!` behind drift.
pub(crate) fn changes(plan: &Plan) -> Vec<String> {
    let change = |change: &foundry_plan::Change| {
        let sign = match change.action {
            foundry_plan::Action::Create => '+',
            foundry_plan::Action::Update => '~',
            foundry_plan::Action::Remove => '-',
        };
        let drift = if change.drift { "!" } else { "" };
        let after = change
            .known_after
            .as_ref()
            .map(|step| format!(" [known after {step}]"));
        format!(
            "{sign}{}/{} {}: {}{drift}{}",
            change.host,
            change.assignment,
            change.task,
            change.diff,
            after.unwrap_or_default()
        )
    };
    plan.changes.iter().map(change).collect()
}

/// What the fleet looks like once every step of the plan went well.
pub(crate) fn after(inputs: &Inputs, plan: &Plan) -> Inputs {
    let mut inputs = inputs.clone();
    for view in &mut inputs.hosts {
        let steps: Vec<_> = plan
            .steps
            .iter()
            .filter(|step| step.host == view.host)
            .collect();
        let mut held = match &view.view {
            View::NotEnrolled if steps.is_empty() => continue,
            View::NotEnrolled => Vec::new(),
            View::Unreachable { known, .. } | View::Observed { known, .. } => known.clone(),
        };
        for order in steps.iter().filter_map(|step| Some((step, step.order()?))) {
            let (step, order) = order;
            let revision = match order.revision {
                Revision::Above(revision) => revision + 1,
                Revision::Pending(revision) => revision,
            };
            let phase = match step.kind {
                foundry_plan::StepKind::Remove(_) => Phase::Removed,
                foundry_plan::StepKind::Enrol | foundry_plan::StepKind::Apply(_) => Phase::Achieved,
            };
            held.retain(|known| known.name != order.assignment);
            held.push(Known {
                name: order.assignment.clone(),
                revision,
                digest: order.digest,
                phase,
                stored: false,
                message: String::new(),
            });
        }
        let seen = |want: &&Desired| want.host == view.host;
        let observed = inputs.desired.iter().filter(seen).map(|want| {
            let reached = held.iter().any(|known| known.digest == want.digest);
            let action = if reached {
                wire::Action::Unchanged
            } else {
                wire::Action::Create
            };
            all(want, action)
        });
        view.view = View::Observed {
            observed: observed.collect(),
            known: held,
        };
    }
    inputs
}
