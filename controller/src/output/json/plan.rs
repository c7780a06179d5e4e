//! What a run would change.

use foundry_proto::agent::v1::Action;
use foundry_proto::operator::v1 as wire;
use serde::Serialize;

/// A plan.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PlanDocument {
    /// What would be different, host by host.
    pub changes: Vec<ChangeDocument>,
    /// Counts of tasks, and of hosts that do not answer.
    pub summary: SummaryDocument,
    /// Hosts that are to be enrolled first.
    pub enrol: Vec<String>,
    /// What stands in the way: the plan cannot be run.
    pub problems: Vec<ProblemDocument>,
    /// What should be looked at.
    pub warnings: Vec<String>,
    /// What left the file and is still there.
    pub orphans: Vec<OrphanDocument>,
    /// Hosts that do not answer; planned from what was known last.
    pub unreachable: Vec<UnreachableDocument>,
    /// What would be done, wave by wave.
    pub steps: Vec<PlannedDocument>,
}

/// A step that a run would take.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedDocument {
    /// `<host>/enrol` or `<host>/<assignment>`.
    pub id: String,
    /// Its host.
    pub host: String,
    /// The steps that must have gone well before.
    pub after: Vec<String>,
    /// From 0; steps of one wave do not depend on one another.
    pub wave: u32,
}

/// One task that would change.
#[derive(Debug, Clone, Serialize)]
pub struct ChangeDocument {
    /// Its host.
    pub host: String,
    /// Its assignment.
    pub assignment: String,
    /// Its name within the assignment.
    pub task: String,
    /// `create`, `update`, `remove`; `blocked` and `unsupported` are explained under `problems`.
    pub action: &'static str,
    /// It was changed by hand since.
    pub drift: bool,
    /// What is different.
    pub diff: String,
    /// Not observed yet, but expected after this step.
    pub known_after: Option<String>,
}

/// Counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SummaryDocument {
    /// Tasks that make something new.
    pub create: u32,
    /// Tasks that change something.
    pub update: u32,
    /// Tasks that take something away.
    pub remove: u32,
    /// Tasks with nothing to do.
    pub unchanged: u32,
    /// Assignments that left the file.
    pub orphaned: u32,
    /// Hosts that do not answer.
    pub unreachable: u32,
}

/// Why the plan cannot be run.
#[derive(Debug, Clone, Serialize)]
pub struct ProblemDocument {
    /// Its host; empty: all of them.
    pub host: String,
    /// Its assignment.
    pub assignment: String,
    /// What stands in the way.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What left the file.
#[derive(Debug, Clone, Serialize)]
pub struct OrphanDocument {
    /// Where it is.
    pub host: String,
    /// What it is.
    pub assignment: String,
}

/// A host that does not answer.
#[derive(Debug, Clone, Serialize)]
pub struct UnreachableDocument {
    /// Its name.
    pub host: String,
    /// Why not.
    pub reason: String,
}

// === impl PlanDocument ===

impl PlanDocument {
    /// Whether a run would do anything.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl From<&wire::Plan> for PlanDocument {
    fn from(plan: &wire::Plan) -> Self {
        Self {
            changes: plan.changes.iter().filter_map(ChangeDocument::of).collect(),
            summary: plan
                .summary
                .as_ref()
                .map(SummaryDocument::from)
                .unwrap_or_default(),
            enrol: plan.enrol.clone(),
            problems: plan.problems.iter().map(ProblemDocument::from).collect(),
            warnings: plan.warnings.clone(),
            orphans: plan.orphans.iter().map(OrphanDocument::from).collect(),
            unreachable: plan
                .unreachable
                .iter()
                .map(UnreachableDocument::from)
                .collect(),
            steps: plan.steps.iter().map(PlannedDocument::from).collect(),
        }
    }
}

impl From<&wire::PlannedStep> for PlannedDocument {
    fn from(step: &wire::PlannedStep) -> Self {
        Self {
            id: step.id.clone(),
            host: step.host.clone(),
            after: step.after.clone(),
            wave: step.wave,
        }
    }
}

// === impl ChangeDocument ===

impl ChangeDocument {
    /// Tasks without a change are counted, not listed.
    fn of(change: &wire::Change) -> Option<Self> {
        let action = match change.action() {
            Action::Unchanged => return None,
            Action::Unspecified => "unknown",
            Action::Create => "create",
            Action::Update => "update",
            Action::Remove => "remove",
            Action::Blocked => "blocked",
            Action::Unsupported => "unsupported",
        };
        Some(Self {
            host: change.host.clone(),
            assignment: change.assignment.clone(),
            task: change.task.clone(),
            action,
            drift: change.drift,
            diff: change.diff.clone(),
            known_after: filled(&change.known_after),
        })
    }
}

impl From<&wire::Summary> for SummaryDocument {
    fn from(summary: &wire::Summary) -> Self {
        Self {
            create: summary.create,
            update: summary.update,
            remove: summary.remove,
            unchanged: summary.unchanged,
            orphaned: summary.orphaned,
            unreachable: summary.unreachable,
        }
    }
}

impl From<&wire::Problem> for ProblemDocument {
    fn from(problem: &wire::Problem) -> Self {
        Self {
            host: problem.host.clone(),
            assignment: problem.assignment.clone(),
            message: problem.message.clone(),
            hint: filled(&problem.hint),
        }
    }
}

impl From<&wire::Orphan> for OrphanDocument {
    fn from(orphan: &wire::Orphan) -> Self {
        Self {
            host: orphan.host.clone(),
            assignment: orphan.assignment.clone(),
        }
    }
}

impl From<&wire::Unreachable> for UnreachableDocument {
    fn from(unreachable: &wire::Unreachable) -> Self {
        Self {
            host: unreachable.host.clone(),
            reason: unreachable.reason.clone(),
        }
    }
}

impl From<&foundry_plan::Plan> for PlanDocument {
    /// A plan that was made without a controller, for a file that no fleet knows yet.
    fn from(plan: &foundry_plan::Plan) -> Self {
        let changes = plan.changes.iter().map(|change| ChangeDocument {
            host: change.host.to_string(),
            assignment: change.assignment.to_string(),
            task: change.task.clone(),
            action: match change.action {
                foundry_plan::Action::Create => "create",
                foundry_plan::Action::Update => "update",
                foundry_plan::Action::Remove => "remove",
            },
            drift: change.drift,
            diff: change.diff.clone(),
            known_after: change.known_after.clone(),
        });
        let problems = plan.problems.iter().map(|problem| ProblemDocument {
            host: problem.host.clone(),
            assignment: problem.assignment.clone(),
            message: problem.message.clone(),
            hint: filled(&problem.hint),
        });
        let steps = plan.steps.iter().map(|step| PlannedDocument {
            id: step.id.clone(),
            host: step.host.to_string(),
            after: step.after.clone(),
            wave: step.wave,
        });
        Self {
            changes: changes.collect(),
            summary: SummaryDocument {
                create: plan.summary.create,
                update: plan.summary.update,
                remove: plan.summary.remove,
                unchanged: plan.summary.unchanged,
                orphaned: plan.summary.orphaned,
                unreachable: plan.summary.unreachable,
            },
            enrol: plan.enrol.iter().map(ToString::to_string).collect(),
            problems: problems.collect(),
            warnings: plan.warnings.clone(),
            orphans: Vec::new(),
            unreachable: Vec::new(),
            steps: steps.collect(),
        }
    }
}

/// An empty string of the wire is nothing.
pub(super) fn filled(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use foundry_proto::agent::v1::Action;
    use foundry_proto::operator::v1 as wire;

    use super::PlanDocument;

    /// A plan with something of everything.
    pub(crate) fn sample() -> PlanDocument {
        let change = |host: &str, task: &str, action: Action, diff: &str| wire::Change {
            host: host.to_owned(),
            assignment: "service/whoami".to_owned(),
            task: task.to_owned(),
            action: action.into(),
            diff: diff.to_owned(),
            ..Default::default()
        };
        let mut drifted = change("node1", "service", Action::Update, "port 8080:80 → 8081:80");
        drifted.drift = true;
        let mut unseen = change("node2", "image", Action::Create, "");
        unseen.known_after = "node2/enrol".to_owned();
        PlanDocument::from(&wire::Plan {
            changes: vec![
                drifted,
                change("node1", "image", Action::Unchanged, ""),
                unseen,
            ],
            summary: Some(wire::Summary {
                create: 1,
                update: 1,
                unchanged: 1,
                ..Default::default()
            }),
            enrol: vec!["node2".to_owned()],
            problems: vec![wire::Problem {
                host: "node1".to_owned(),
                assignment: "service/whoami".to_owned(),
                message: "port 8081 is taken by container `nginx`".to_owned(),
                hint: String::new(),
            }],
            orphans: vec![wire::Orphan {
                host: "node1".to_owned(),
                assignment: "service/old".to_owned(),
            }],
            steps: vec![wire::PlannedStep {
                id: "node2/service/whoami".to_owned(),
                host: "node2".to_owned(),
                after: vec!["node2/enrol".to_owned()],
                wave: 1,
                ..Default::default()
            }],
            ..Default::default()
        })
    }

    #[test]
    fn the_shape_is_fixed() {
        insta::assert_json_snapshot!(sample());
    }
}
