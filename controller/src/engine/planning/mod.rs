//! From a stack.yaml and what the hosts say to a plan, which is kept for a while under its id.

mod seeing;
mod told;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foundry_plan::{Desired, Goal, HostView, Inputs, Problem, Selection, View};
use foundry_proto::agent::v1::ObserveItem;
use foundry_proto::operator::v1 as wire;
use foundry_proto::{Digest, Hostname};
use foundry_spec::Stack;
use tokio::time::Instant;
use uuid::Uuid;

use super::error::EngineError;
use super::{Engine, listener::Listener};
use crate::stack;
use seeing::Seeing;

pub(super) use seeing::OBSERVE_TIMEOUT;
pub(super) use told::action_of;

/// How long a plan is good.
const KEPT: Duration = Duration::from_secs(30 * 60);
/// Plans that are kept at most; the oldest goes.
const MOST: usize = 64;
/// How long silent hosts are waited for, unless somebody said otherwise.
const PATIENCE: Duration = Duration::from_secs(2);

/// A plan with what is needed to carry it out.
pub(super) struct Kept {
    /// The plan.
    pub(super) plan: foundry_plan::Plan,
    /// As it was told.
    pub(super) told: wire::Plan,
    /// Where the file wants the agents' listener.
    pub(super) listen: String,
    /// At which addresses the file says that agents find it.
    pub(super) advertise: Vec<String>,
    made: Instant,
}

/// The plans that can be run.
#[derive(Default)]
pub(super) struct Plans {
    kept: Mutex<HashMap<String, Arc<Kept>>>,
}

// === impl Plans ===

impl Plans {
    /// The plan of this id.
    pub(super) fn get(&self, id: &str) -> Result<Arc<Kept>, EngineError> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = kept.get(id).filter(|plan| plan.made.elapsed() < KEPT);
        plan.cloned()
            .ok_or_else(|| EngineError::PlanGone { id: id.to_owned() })
    }

    fn keep(&self, id: String, plan: Kept) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, plan| plan.made.elapsed() < KEPT);
        if kept.len() >= MOST
            && let Some(oldest) = kept
                .iter()
                .min_by_key(|(_, plan)| plan.made)
                .map(|(id, _)| id)
        {
            let oldest = oldest.clone();
            kept.remove(&oldest);
        }
        kept.insert(id, Arc::new(plan));
    }
}

// === impl Engine ===

impl Engine {
    /// What would be done to make it so. Nothing is changed.
    pub async fn plan(&self, request: wire::PlanRequest) -> Result<wire::Plan, EngineError> {
        let stack = parse(&request.spec)?;
        self.check_fleet(&stack)?;
        let listen = stack.controller.listen.to_string();
        self.meet(&listen).await?;

        let archives = request.archives.iter().map(stack::Archive::try_from);
        let archives: Vec<_> =
            archives
                .collect::<Result<_, _>>()
                .map_err(|error| EngineError::Spec {
                    errors: vec![error.to_string()],
                })?;
        let mut inputs = Inputs {
            goal: goal(request.goal()),
            purge: request.purge,
            prune: request.prune,
            selection: selection(request.selection.unwrap_or_default()),
            warnings: stack::warnings(&stack),
            ..Inputs::default()
        };
        let wanted = stack::desired(&stack, &archives);
        let plan = match wanted {
            Ok(desired) => {
                inputs.desired = desired;
                let patience = match request.patience_ms {
                    0 => PATIENCE,
                    ms => Duration::from_millis(ms),
                };
                self.look(&stack, &mut inputs, patience).await?;
                if let Some(unmatched) = inputs.unmatched().into_iter().next() {
                    return Err(unmatched.into());
                }
                foundry_plan::plan(&inputs)
            }
            Err(errors) => foundry_plan::Plan {
                problems: errors.iter().map(problem).collect(),
                warnings: inputs.warnings,
                ..foundry_plan::Plan::default()
            },
        };
        let id = Uuid::new_v4().simple().to_string();
        let told = told::plan(
            &plan,
            &id,
            &self.inner.core.fleet,
            Digest::of(&request.spec),
        );
        let advertise = stack.controller.advertise.clone();
        let kept = Kept {
            plan,
            told: told.clone(),
            listen,
            advertise,
            made: Instant::now(),
        };
        self.inner.plans.keep(id, kept);
        Ok(told)
    }

    /// What is different on the hosts from what they should have. Nothing is changed.
    pub async fn observe(
        &self,
        request: wire::ObserveRequest,
    ) -> Result<wire::ObserveReport, EngineError> {
        let selection = selection(request.selection.unwrap_or_default());
        let seeing = Seeing::new(&self.inner.core, &self.inner.listener, PATIENCE);
        let (mut names, mut looks) = (Vec::new(), Vec::new());
        for (hostname, id) in self.inner.core.view.names() {
            let Ok(hostname) = hostname.parse::<Hostname>() else {
                continue;
            };
            if !selection.takes_host(&hostname) {
                continue;
            }
            let items = self.stored_items(id, &selection).await?;
            looks.push(seeing.host(Some(id), items));
            names.push(hostname);
        }
        let views = futures_util::future::join_all(looks).await;
        let mut report = wire::ObserveReport::default();
        for (hostname, view) in names.iter().zip(views) {
            told::observed(hostname, &view, &mut report);
        }
        Ok(report)
    }

    /// Sees every host of the file; those that the selection leaves out from memory alone.
    async fn look(
        &self,
        stack: &Stack,
        inputs: &mut Inputs,
        patience: Duration,
    ) -> Result<(), EngineError> {
        let core = &self.inner.core;
        let mut strangers = core.view.names();
        let seeing = Seeing::new(core, &self.inner.listener, patience);
        let mut items: HashMap<Hostname, Vec<ObserveItem>> = HashMap::new();
        let observes = inputs.goal != Goal::Remove;
        let selected = |want: &&Desired| observes && inputs.selection.takes(&want.host, &want.name);
        for want in inputs.desired.iter().filter(selected) {
            items
                .entry(want.host.clone())
                .or_default()
                .push(seeing::item(want));
        }
        let (mut names, mut looks) = (Vec::new(), Vec::new());
        for host in &stack.hosts {
            let hostname: Hostname = host.hostname.as_str().parse()?;
            let id = strangers.remove(hostname.as_str());
            let items = items.remove(&hostname).unwrap_or_default();
            looks.push(seeing.host(id, items));
            names.push(hostname);
        }
        let views: Vec<View> = futures_util::future::join_all(looks).await;
        let seen = names
            .into_iter()
            .zip(views)
            .map(|(host, view)| HostView { host, view });
        inputs.hosts = seen.collect();
        inputs.strangers = strangers
            .into_keys()
            .filter_map(|name| name.parse().ok())
            .collect();
        inputs.strangers.sort();
        Ok(())
    }

    /// A file of another fleet, or of none, is not for this controller.
    pub(super) fn check_fleet(&self, stack: &Stack) -> Result<(), EngineError> {
        let fleet = &self.inner.core.fleet;
        match &stack.fleet {
            Some(found) if found.as_str() == fleet.as_str() => Ok(()),
            found => Err(EngineError::OtherFleet {
                fleet: fleet.clone(),
                found: found
                    .as_ref()
                    .map_or_else(|| "none".to_owned(), ToString::to_string),
            }),
        }
    }

    /// As long as nobody is enrolled, the listener may go where the file wants it without anything being changed.
    async fn meet(&self, listen: &str) -> Result<(), EngineError> {
        let listener: &Listener = &self.inner.listener;
        if self.inner.core.view.len() == 0 {
            listener.relocate(listen).await?;
        }
        // A plan can be made, though not run, while the port is taken.
        let _ = listener.ensure().await;
        Ok(())
    }
}

/// Reads a stack.yaml; its errors, one a line.
pub(super) fn parse(spec: &[u8]) -> Result<Stack, EngineError> {
    let refuse = |errors| EngineError::Spec { errors };
    let text = std::str::from_utf8(spec).map_err(|error| refuse(vec![error.to_string()]))?;
    foundry_spec::parse(text, "stack.yaml")
        .map(|parsed| parsed.stack)
        .map_err(|errors| refuse(errors.iter().map(ToString::to_string).collect()))
}

/// What a request is limited to.
pub(super) fn selection(selection: wire::Selection) -> Selection {
    let set = |names: Vec<String>| names.into_iter().collect::<BTreeSet<_>>();
    Selection {
        hosts: set(selection.hosts),
        services: set(selection.services),
        components: set(selection.components),
    }
}

fn goal(goal: wire::Goal) -> Goal {
    match goal {
        wire::Goal::Unspecified | wire::Goal::Install => Goal::Install,
        wire::Goal::Remove => Goal::Remove,
        wire::Goal::Fix => Goal::Fix,
    }
}

fn problem(error: &stack::StackError) -> Problem {
    Problem {
        host: String::new(),
        assignment: error.assignment(),
        message: error.to_string(),
        hint: error.hint().to_owned(),
    }
}
