//! Plans as the operator is told them.

use foundry_plan::{Action, Change, Plan, Problem, Step, StepKind, Summary, View};
use foundry_proto::agent::v1 as agent;
use foundry_proto::operator::v1 as wire;
use foundry_proto::{Digest, FleetId, Hostname};

/// A plan under its id.
pub(super) fn plan(plan: &Plan, id: &str, fleet: &FleetId, spec: Digest) -> wire::Plan {
    wire::Plan {
        id: id.to_owned(),
        fleet: fleet.to_string(),
        spec_digest: spec.to_bytes(),
        changes: plan.changes.iter().map(change).collect(),
        steps: plan.steps.iter().map(step).collect(),
        summary: Some(summary(&plan.summary)),
        enrol: plan.enrol.iter().map(ToString::to_string).collect(),
        problems: plan.problems.iter().map(problem).collect(),
        warnings: plan.warnings.clone(),
        orphans: plan
            .orphans
            .iter()
            .map(|orphan| wire::Orphan {
                host: orphan.host.to_string(),
                assignment: orphan.assignment.to_string(),
            })
            .collect(),
        unreachable: plan
            .unreachable
            .iter()
            .map(|host| wire::Unreachable {
                host: host.host.to_string(),
                reason: host.reason.clone(),
            })
            .collect(),
    }
}

/// The counts of a plan.
fn summary(summary: &Summary) -> wire::Summary {
    wire::Summary {
        create: summary.create,
        update: summary.update,
        remove: summary.remove,
        unchanged: summary.unchanged,
        orphaned: summary.orphaned,
        unreachable: summary.unreachable,
    }
}

/// An action of a plan on the wire.
pub(in crate::engine) fn action_of(action: Action) -> agent::Action {
    match action {
        Action::Create => agent::Action::Create,
        Action::Update => agent::Action::Update,
        Action::Remove => agent::Action::Remove,
    }
}

/// What one host said, as part of a report; what is as it should be is left out.
pub(super) fn observed(hostname: &Hostname, view: &View, report: &mut wire::ObserveReport) {
    match view {
        View::NotEnrolled => {}
        View::Unreachable { reason, .. } => report.unreachable.push(wire::Unreachable {
            host: hostname.to_string(),
            reason: reason.clone(),
        }),
        View::Observed { observed, .. } => {
            for observation in observed {
                let different = observation
                    .tasks
                    .iter()
                    .filter(|task| task.action() != agent::Action::Unchanged);
                report.changes.extend(different.map(|task| wire::Change {
                    host: hostname.to_string(),
                    assignment: observation.name.to_string(),
                    task: task.task.clone(),
                    action: task.action,
                    drift: true,
                    diff: task.diff.clone(),
                    known_after: String::new(),
                }));
            }
        }
    }
}

fn change(change: &Change) -> wire::Change {
    wire::Change {
        host: change.host.to_string(),
        assignment: change.assignment.to_string(),
        task: change.task.clone(),
        action: action_of(change.action).into(),
        drift: change.drift,
        diff: change.diff.clone(),
        known_after: change.known_after.clone().unwrap_or_default(),
    }
}

fn step(step: &Step) -> wire::PlannedStep {
    let kind = match step.kind {
        StepKind::Enrol => wire::StepKind::Enrol,
        StepKind::Apply(_) => wire::StepKind::Apply,
        StepKind::Remove(_) => wire::StepKind::Remove,
    };
    wire::PlannedStep {
        id: step.id.clone(),
        host: step.host.to_string(),
        assignment: step
            .assignment()
            .map(ToString::to_string)
            .unwrap_or_default(),
        kind: kind.into(),
        after: step.after.clone(),
        wave: step.wave,
    }
}

fn problem(problem: &Problem) -> wire::Problem {
    wire::Problem {
        host: problem.host.clone(),
        assignment: problem.assignment.clone(),
        message: problem.message.clone(),
        hint: problem.hint.clone(),
    }
}
