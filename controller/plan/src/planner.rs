//! The comparison of a whole fleet, and the steps that come of it.

use std::collections::HashMap;

use foundry_proto::{AssignmentName, Hostname};

use crate::compare::{self, Obstacle, Sight, Verdict};
use crate::inputs::{
    Desired, Goal, HostView, Inputs, Known, Observation, Phase, Unmatched, View, removal,
};
use crate::layout::Layout;
use crate::output::{Action, Change, Order, Orphan, Plan, Problem, StepKind, UnreachableHost};

/// The plan that leads from what was seen to what is wanted.
pub fn plan(inputs: &Inputs) -> Plan {
    let mut desired: HashMap<&Hostname, Vec<&Desired>> = HashMap::new();
    for want in &inputs.desired {
        desired.entry(&want.host).or_default().push(want);
    }
    let mut planner = Planner {
        inputs,
        desired,
        plan: Plan {
            warnings: inputs.warnings.clone(),
            ..Plan::default()
        },
        layout: Layout::default(),
    };
    planner.check_selection();
    for host in inputs
        .hosts
        .iter()
        .filter(|view| inputs.selection.takes_host(&view.host))
    {
        planner.host(host);
    }
    planner.name_strangers();
    planner.finish()
}

/// A plan in the making.
struct Planner<'a> {
    inputs: &'a Inputs,
    /// What each host should have, the selection not yet applied.
    desired: HashMap<&'a Hostname, Vec<&'a Desired>>,
    plan: Plan,
    layout: Layout,
}

impl<'a> Planner<'a> {
    // --- the selection ---

    fn check_selection(&mut self) {
        let inputs = self.inputs;
        let unmatched = inputs.unmatched();
        for selector in &unmatched {
            self.plan.problems.push(Problem {
                message: selector.to_string(),
                hint: selector.hint(),
                ..Problem::default()
            });
        }
        if unmatched.is_empty()
            && inputs.selection.is_by_name()
            && !inputs
                .assignments()
                .any(|(host, name)| inputs.selection.takes(host, name))
        {
            self.plan.problems.push(Problem {
                message: "what is selected runs on none of the selected hosts".to_owned(),
                hint: "leave --host out, or name another".to_owned(),
                ..Problem::default()
            });
        }
    }

    fn name_strangers(&mut self) {
        if !self.inputs.selection.hosts.is_empty() {
            return;
        }
        for host in &self.inputs.strangers {
            self.plan.warnings.push(format!(
                "host {host} is enrolled, but not in the file; `foundry host remove {host}` takes it out"
            ));
        }
    }

    // --- one host ---

    fn host(&mut self, view: &'a HostView) {
        match self.inputs.goal {
            Goal::Install => {
                let enrol = self.enrol(view);
                self.wanted(view, enrol.as_deref());
                self.orphans(view);
            }
            Goal::Fix => self.wanted(view, None),
            Goal::Remove => {
                self.note_unreachable(view);
                for known in known(view) {
                    if self.inputs.selection.takes_assignment(&known.name) {
                        self.remove(&view.host, known);
                    }
                }
            }
        }
    }

    /// The step that enrols a bare host, where this plan has any business with it.
    fn enrol(&mut self, view: &'a HostView) -> Option<String> {
        if !matches!(view.view, View::NotEnrolled) {
            return None;
        }
        let selection = &self.inputs.selection;
        let has_business = self
            .desired(&view.host)
            .any(|want| selection.takes_assignment(&want.name));
        if selection.is_by_name() && !has_business {
            return None;
        }
        self.plan.enrol.push(view.host.clone());
        Some(self.layout.enrol(&view.host))
    }

    /// What a host should have, in the order in which it was given.
    fn desired(&self, host: &Hostname) -> impl Iterator<Item = &'a Desired> + use<'a> {
        self.desired
            .get(host)
            .cloned()
            .unwrap_or_default()
            .into_iter()
    }

    fn wanted(&mut self, view: &'a HostView, enrol: Option<&str>) {
        self.note_unreachable(view);
        let inputs = self.inputs;
        for want in self.desired(&view.host) {
            if !inputs.selection.takes_assignment(&want.name) {
                continue;
            }
            let known = known(view).iter().find(|known| known.name == want.name);
            let sight = match (&view.view, enrol) {
                (View::NotEnrolled, Some(step)) => Sight::Bare(step),
                // Nothing to put back where nothing was ever put.
                (View::NotEnrolled, None) => continue,
                (View::Unreachable { .. }, _) => Sight::Unseen,
                (View::Observed { observed, .. }, _) => self.sight(&view.host, want, observed),
            };
            let verdict = compare::apply(want, known, sight);
            if inputs.goal == Goal::Install || verdict.reached {
                self.take(want, StepKind::Apply, verdict);
            } else {
                self.plan.summary.unchanged += verdict.unchanged;
            }
        }
    }

    /// What the host answered for an assignment; without an answer it counts as unreachable.
    fn sight(&mut self, host: &Hostname, want: &Desired, observed: &'a [Observation]) -> Sight<'a> {
        let error = match observed
            .iter()
            .find(|observation| observation.name == want.name)
        {
            Some(observation) if observation.error.is_empty() => {
                return Sight::Seen(&observation.tasks);
            }
            Some(observation) => observation.error.as_str(),
            None => "no answer",
        };
        self.unreachable(
            host,
            format!("{} could not be observed: {error}", want.name),
        );
        Sight::Unseen
    }

    /// What the host has and the file does not name.
    fn orphans(&mut self, view: &'a HostView) {
        for known in known(view) {
            let is_wanted = self.desired(&view.host).any(|want| want.name == known.name);
            if is_wanted || is_gone(&view.host, known) {
                continue;
            }
            self.plan.summary.orphaned += 1;
            self.plan.orphans.push(Orphan {
                host: view.host.clone(),
                assignment: known.name.clone(),
            });
            if self.inputs.prune && self.inputs.selection.takes_assignment(&known.name) {
                self.remove(&view.host, known);
            }
        }
    }

    fn remove(&mut self, host: &'a Hostname, known: &Known) {
        let removal = removal(host.clone(), known.name.clone(), self.inputs.purge);
        let verdict = compare::remove(&removal, known);
        self.take(&removal, StepKind::Remove, verdict);
    }

    fn note_unreachable(&mut self, view: &HostView) {
        if let View::Unreachable { reason, .. } = &view.view {
            self.unreachable(&view.host, reason.clone());
        }
    }

    fn unreachable(&mut self, host: &Hostname, reason: String) {
        if !self
            .plan
            .unreachable
            .iter()
            .any(|unreachable| unreachable.host == *host)
        {
            self.plan.summary.unreachable += 1;
            self.plan.unreachable.push(UnreachableHost {
                host: host.clone(),
                reason,
            });
        }
    }

    // --- what comes of it ---

    /// Turns a verdict into changes, problems and a step.
    fn take(&mut self, want: &Desired, kind: fn(Order) -> StepKind, verdict: Verdict) {
        let summary = &mut self.plan.summary;
        summary.unchanged += verdict.unchanged;
        for change in verdict.changes {
            match change.action {
                Action::Create => summary.create += 1,
                Action::Update => summary.update += 1,
                Action::Remove => summary.remove += 1,
            }
            self.plan.changes.push(Change {
                host: want.host.clone(),
                assignment: want.name.clone(),
                task: change.task,
                action: change.action,
                drift: change.drift,
                diff: change.diff,
                known_after: change.known_after,
            });
        }
        for obstacle in verdict.obstacles {
            self.plan.problems.push(problem(want, obstacle));
        }
        if let Some(revision) = verdict.order {
            let order = Order {
                assignment: want.name.clone(),
                content: want.content.clone(),
                digest: want.digest,
                revision,
            };
            self.layout
                .order(&want.host, &want.name, kind(order), &want.after);
        }
    }

    /// Puts the steps in order.
    fn finish(mut self) -> Plan {
        match self.layout.into_steps() {
            Ok(steps) => self.plan.steps = steps,
            Err(cycle) => self.plan.problems.push(Problem {
                message: format!("these depend on one another: {}", cycle.path.join(" → ")),
                ..Problem::default()
            }),
        }
        self.plan
    }
}

fn problem(want: &Desired, obstacle: Obstacle) -> Problem {
    let (message, hint) = match obstacle {
        Obstacle::Blocked(what) => (
            what,
            "free it or change the file; foundry touches nothing that it did not make".to_owned(),
        ),
        Obstacle::Unsupported(what) => {
            let hint = format!(
                "`foundry host bootstrap {}` brings its agent up to date",
                want.host
            );
            (format!("the agent cannot do this: {what}"), hint)
        }
    };
    Problem {
        host: want.host.to_string(),
        assignment: want.name.to_string(),
        message,
        hint,
    }
}

fn known(view: &HostView) -> &[Known] {
    match &view.view {
        View::NotEnrolled => &[],
        View::Unreachable { known, .. } | View::Observed { known, .. } => known,
    }
}

/// Whether nothing is left of it: the host says so, or that it did what a removal asks.
fn is_gone(host: &Hostname, known: &Known) -> bool {
    let removal = |purge| removal(host.clone(), known.name.clone(), purge).digest;
    known.phase == Phase::Removed
        || known.phase == Phase::Achieved && [false, true].map(removal).contains(&known.digest)
}

// === impl Inputs ===

impl Inputs {
    /// Selectors that name nothing that is wanted or there: nothing should be planned with them.
    pub fn unmatched(&self) -> Vec<Unmatched> {
        let hosts = self.hosts.iter().map(|view| view.host.as_str());
        let names = self.assignments().map(|(_, name)| name);
        self.selection.unmatched(hosts, names)
    }

    /// Every assignment that is wanted or there, host by host.
    fn assignments(&self) -> impl Iterator<Item = (&Hostname, &AssignmentName)> {
        let wanted = self.desired.iter().map(|want| (&want.host, &want.name));
        let there = self.hosts.iter().flat_map(|view| {
            let known = known(view)
                .iter()
                .filter(|known| known.phase != Phase::Removed);
            known.map(|known| (&view.host, &known.name))
        });
        wanted.chain(there)
    }
}
