//! Bringing one assignment of one host to a revision: stored first, then sent, then waited for.
//!
//! A host that is away gets it when it returns, run or no run: what is stored is what it should have.

use foundry_plan::{Order, Revision, Step};
use foundry_proto::agent::v1::{Assign, Assignment};
use foundry_proto::operator::v1::StepOutcome;
use foundry_proto::{AssignmentName, HostId};
use prost::Message as _;
use tokio::time::Instant;

use super::super::Engine;
use super::super::clock::now_ms;
use super::super::planning::Kept;
use super::super::view;
use super::Active;
use super::healthy::healthy;
use super::settle::settle;
use super::step::{StepEnd, chain};
use super::unshown::look_again;
use crate::store::{Next, StoreError};

/// A row that others change at the same time is read and changed again this often.
const TRIES: usize = 5;

/// What was stored for a host.
pub(super) struct Stored {
    pub(super) host: HostId,
    pub(super) name: AssignmentName,
    pub(super) assign: Assign,
    pub(super) removal: bool,
}

/// Carries out one step.
pub(super) async fn run(
    engine: &Engine,
    active: &Active,
    kept: &Kept,
    step: &Step,
    order: &Order,
) -> StepEnd {
    let deadline = Instant::now() + engine.inner.timing.step;
    let Some(host) = engine.inner.core.view.by_name(step.host.as_str()) else {
        return StepEnd::failed("the host is not enrolled, or no longer");
    };
    if kept.plan.enrol.contains(&step.host)
        && let Err(end) = look_again(engine, kept, step, order, host).await
    {
        return end;
    }
    let stored = match store(engine, active, order, host).await {
        Ok(stored) => stored,
        Err(error) => {
            return StepEnd {
                hints: error.hints(),
                ..StepEnd::failed(chain(&error))
            };
        }
    };
    let end = settle(engine, active, &stored, deadline).await;
    if end.outcome == StepOutcome::Ok && !stored.removal {
        return healthy(engine, active, &stored, end).await;
    }
    end
}

/// Stores what the host should have; a revision that is already there for it is used again.
async fn store(
    engine: &Engine,
    active: &Active,
    order: &Order,
    host: HostId,
) -> Result<Stored, StoreError> {
    let core = &engine.inner.core;
    let assignments = &core.store.assignments;
    let name = &order.assignment;
    let removal = Assignment::decode(order.content.clone()).is_ok_and(|content| content.removed);
    let mut tries = 0;
    loop {
        let current = assignments.get(host, name).await?;
        let undelivered = current.as_ref().filter(|wanted| {
            let awaited = match order.revision {
                Revision::Pending(revision) => wanted.revision == revision,
                Revision::Above(reported) => wanted.revision > reported,
            };
            awaited
                && wanted.digest == order.digest
                && !wanted.forgotten
                && !core.view.is_over(host, wanted)
        });
        if let Some(wanted) = undelivered {
            let assign = assignments.open(host, wanted)?;
            return Ok(Stored {
                host,
                name: name.clone(),
                assign,
                removal,
            });
        }
        let (Revision::Above(above) | Revision::Pending(above)) = order.revision;
        let next = Next {
            name: name.clone(),
            content: order.content.clone(),
            slots: Vec::new(),
            retry: None,
            removed: removal,
            above,
            made_ms: now_ms(),
            run: active.id.clone(),
        };
        let (assign, write) = assignments.next(host, current.as_ref(), next)?;
        match core.store.write(vec![write]).await {
            Err(error) if error.is_conflict() && tries < TRIES => tries += 1,
            Err(error) => return Err(error),
            Ok(_) => {
                let digest = order.digest;
                let order = view::Order {
                    revision: assign.revision,
                    digest,
                    removed: removal,
                };
                core.view
                    .update(host, |host| host.orders.insert(name.clone(), order));
                return Ok(Stored {
                    host,
                    name: name.clone(),
                    assign,
                    removal,
                });
            }
        }
    }
}
