//! Steps, what each comes after, and their waves.

use std::collections::HashMap;

use foundry_proto::{AssignmentName, Hostname};

use crate::graph::{self, Cycle};
use crate::inputs::Place;
use crate::output::{Step, StepKind};

/// The steps of a plan in the making.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    steps: Vec<Step>,
    /// What each step asks for beside the rules that hold for all.
    asked: Vec<Vec<Place>>,
}

/// The steps by what they are about.
#[derive(Default)]
struct Index<'s> {
    enrol: HashMap<&'s Hostname, usize>,
    removals: HashMap<&'s Hostname, Vec<usize>>,
    orders: HashMap<(&'s Hostname, &'s AssignmentName), usize>,
}

// === impl Layout ===

impl Layout {
    /// Adds the step that enrols a host; its id.
    pub(crate) fn enrol(&mut self, host: &Hostname) -> String {
        self.push(format!("{host}/enrol"), host, StepKind::Enrol, &[])
    }

    /// Adds the step that sends a host an order.
    pub(crate) fn order(
        &mut self,
        host: &Hostname,
        name: &AssignmentName,
        kind: StepKind,
        after: &[Place],
    ) {
        self.push(format!("{host}/{name}"), host, kind, after);
    }

    fn push(&mut self, id: String, host: &Hostname, kind: StepKind, after: &[Place]) -> String {
        let host = host.clone();
        self.steps.push(Step {
            id: id.clone(),
            host,
            kind,
            after: Vec::new(),
            wave: 0,
        });
        self.asked.push(after.to_vec());
        id
    }

    /// The steps with their edges, wave by wave.
    pub(crate) fn into_steps(mut self) -> Result<Vec<Step>, Cycle> {
        let edges = self.edges();
        let ids: Vec<String> = self.steps.iter().map(|step| step.id.clone()).collect();
        let names: Vec<&str> = ids.iter().map(String::as_str).collect();
        let waves = graph::waves(&names, &edges)?;
        for ((step, edges), wave) in self.steps.iter_mut().zip(&edges).zip(waves) {
            step.after = edges.iter().map(|&index| ids[index].clone()).collect();
            step.wave = wave;
        }
        self.steps.sort_by_key(|step| step.wave);
        Ok(self.steps)
    }

    fn edges(&self) -> Vec<Vec<usize>> {
        let index = Index::of(&self.steps);
        let steps = self.steps.iter().zip(&self.asked);
        steps
            .map(|(step, asked)| index.before(step, asked))
            .collect()
    }
}

// === impl Index ===

impl<'s> Index<'s> {
    fn of(steps: &'s [Step]) -> Self {
        let mut index = Self::default();
        for (at, step) in steps.iter().enumerate() {
            match &step.kind {
                StepKind::Enrol => {
                    index.enrol.insert(&step.host, at);
                }
                StepKind::Remove(_) => index.removals.entry(&step.host).or_default().push(at),
                StepKind::Apply(order) => {
                    index.orders.insert((&step.host, &order.assignment), at);
                }
            }
        }
        index
    }

    /// What a step comes after: the enrolment of its host; removals there, which free ports and names; what it asks for.
    fn before(&self, step: &Step, asked: &[Place]) -> Vec<usize> {
        let mut before = Vec::new();
        match step.kind {
            StepKind::Enrol | StepKind::Remove(_) => {}
            StepKind::Apply(_) => {
                before.extend(self.enrol.get(&step.host));
                before.extend(self.removals.get(&step.host).into_iter().flatten());
                let orders = asked.iter().map(|place| (&place.host, &place.assignment));
                before.extend(orders.filter_map(|place| self.orders.get(&place)));
            }
        }
        before.sort_unstable();
        before.dedup();
        before
    }
}
