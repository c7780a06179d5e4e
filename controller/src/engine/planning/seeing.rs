//! Seeing hosts: all at once, each in its own time, none delaying another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use foundry_plan::{Desired, Known, Observation, Phase, Selection, View};
use foundry_proto::agent::v1::ObserveItem;
use foundry_proto::{AssignmentName, Digest, HostId};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::super::core::Core;
use super::super::error::{EngineError, date};
use super::super::listener::Listener;
use super::super::view::{HostView, Order};
use super::Engine;
use crate::hub::SessionHandle;

/// Hosts that are asked at the same time.
const AT_A_TIME: usize = 64;
/// How long a host may take to answer.
pub(in crate::engine) const OBSERVE_TIMEOUT: Duration = Duration::from_secs(10);

/// One look at the fleet.
pub(super) struct Seeing<'a> {
    core: &'a Core,
    listener: &'a Listener,
    asking: Arc<Semaphore>,
    until: Instant,
}

// === impl Seeing ===

impl<'a> Seeing<'a> {
    /// A look that starts now, and waits so long for hosts that may be on their way back.
    pub(super) fn new(core: &'a Core, listener: &'a Listener, patience: Duration) -> Self {
        let asking = Arc::new(Semaphore::new(AT_A_TIME));
        Self {
            core,
            listener,
            asking,
            until: Instant::now() + patience,
        }
    }

    /// What one host has, and what it says to these items. `None` is a host that is not enrolled.
    pub(super) async fn host(&self, id: Option<HostId>, items: Vec<ObserveItem>) -> View {
        let Some(id) = id else {
            return View::NotEnrolled;
        };
        let Some(session) = self.listener.session_by(id, self.until).await else {
            let seen = self
                .core
                .view
                .read(id, |host| (silence(host), awaiting(host)));
            let (reason, known) = seen.unwrap_or_default();
            return View::Unreachable { reason, known };
        };
        let observed = self.ask(&session, items).await;
        let known = self.core.view.read(id, known_of).unwrap_or_default();
        match observed {
            Ok(observed) => View::Observed { known, observed },
            Err(reason) => View::Unreachable { reason, known },
        }
    }

    async fn ask(
        &self,
        session: &SessionHandle,
        items: Vec<ObserveItem>,
    ) -> Result<Vec<Observation>, String> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let _permit = self.asking.acquire().await;
        let reply = session.observe(items, false, OBSERVE_TIMEOUT).await;
        let reply = reply.map_err(|error| error.to_string())?;
        let observations = reply.assignments.into_iter().filter_map(|observed| {
            let name = observed.name.parse().ok()?;
            Some(Observation {
                name,
                tasks: observed.diffs,
                error: observed.error,
            })
        });
        Ok(observations.collect())
    }
}

// === impl Engine ===

impl Engine {
    /// What a host should have, as items to be observed.
    pub(super) async fn stored_items(
        &self,
        host: HostId,
        selection: &Selection,
    ) -> Result<Vec<ObserveItem>, EngineError> {
        let assignments = &self.inner.core.store.assignments;
        let mut items = Vec::new();
        for wanted in assignments.list(host).await? {
            if wanted.forgotten || wanted.removed || !selection.takes_assignment(&wanted.name) {
                continue;
            }
            let assign = assignments.open(host, &wanted)?;
            items.push(ObserveItem {
                name: assign.name,
                content: assign.content,
            });
        }
        Ok(items)
    }
}

/// What a host is asked to compare.
pub(super) fn item(want: &Desired) -> ObserveItem {
    ObserveItem {
        name: want.name.to_string(),
        content: want.content.clone(),
    }
}

/// What the planner is told that a host has, or will have once it takes what is stored for it.
pub(in crate::engine) fn known_of(host: &HostView) -> Vec<Known> {
    let stored: BTreeMap<_, _> = undelivered(host).collect();
    let held = host
        .holdings
        .iter()
        .filter(|(name, _)| !stored.contains_key(name));
    let held = held.map(|(name, holding)| Known {
        name: name.clone(),
        revision: holding.revision,
        digest: Digest::try_from(&holding.digest).unwrap_or_else(|_| Digest::from([0; 32])),
        phase: Phase::try_from(holding.phase).unwrap_or_default(),
        stored: false,
        message: holding.message.clone(),
    });
    let waiting = stored.iter().map(|(name, order)| Known {
        name: (*name).clone(),
        revision: order.revision,
        digest: order.digest,
        phase: Phase::Unspecified,
        stored: true,
        message: String::new(),
    });
    held.chain(waiting).collect()
}

/// What an absent host will have once it is back: the newest that is stored for it, not what it had when it left.
fn awaiting(host: &HostView) -> Vec<Known> {
    let mut all = known_of(host);
    for known in &mut all {
        let newer = host.orders.get(&known.name);
        if let Some(order) = newer.filter(|order| order.revision > known.revision) {
            known.revision = order.revision;
            known.digest = order.digest;
            known.phase = Phase::Accepted;
        }
    }
    all
}

/// Orders that a host has not accepted, where it has nothing under their name.
fn undelivered(host: &HostView) -> impl Iterator<Item = (&AssignmentName, &Order)> {
    host.orders.iter().filter(|(name, order)| {
        host.holdings
            .get(*name)
            .is_none_or(|held| held.phase() == Phase::Removed && held.revision < order.revision)
    })
}

/// Why nothing is heard of a host.
fn silence(host: &HostView) -> String {
    match host.seen_ms {
        0 => "its agent never connected".to_owned(),
        seen_ms => format!("not connected, last seen {}", date(seen_ms)),
    }
}
