//! Runs: one execution of a plan, which belongs to the engine and not to who asked for it.
//!
//! One task per run walks the plan's steps (`execute`, in the order of `walk`); each step under way is a task of its own
//! (`apply`, `enrolment`).
//! What happens is appended to the run's log in the store and told to whoever watches (`journal`); only progress is not
//! stored. A lease keeps other runs away. A run that is found under way when the engine starts was interrupted: hosts finish
//! what they had accepted, and running again goes on from there.

mod apply;
mod enrolment;
mod execute;
mod healthy;
mod journal;
mod progress;
mod questions;
mod registry;
mod settle;
mod step;
mod unshown;
mod walk;

use std::sync::Arc;
use std::time::Duration;

use foundry_proto::operator::v1 as wire;
use foundry_proto::operator::v1::{
    EnrolmentReport, RunEvent, RunOutcome, StartRunRequest, StepOutcome, StepRecord, run_event,
};
use futures_util::stream::BoxStream;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::advertise;
use super::clock::now_ms;
use super::error::EngineError;
use super::lease::{self, Claim};
use super::planning::Kept;
use super::{Engine, core::Core};
use crate::store::{RETENTION, StoreError};
use journal::Journal;

pub(super) use registry::Registry;

/// How long things may take; tests have less time.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// One step.
    pub step: Duration,
    /// A host that went away in the middle of its step; then the step is left pending.
    pub away: Duration,
    /// Nobody has said yet that they are enrolling the hosts of a run.
    pub first_report: Duration,
    /// Whoever enrolled the hosts of a run is gone, and said nothing.
    pub last_report: Duration,
    /// A question to the operator.
    pub answer: Duration,
}

/// A run under way.
struct Active {
    id: String,
    journal: Journal,
    /// No new steps.
    cancel: CancellationToken,
    /// Steps under way end too.
    leave: CancellationToken,
    enrolments: enrolment::Enrolments,
    question: questions::Questions,
}

// === impl Timing ===

impl Default for Timing {
    fn default() -> Self {
        Self {
            step: Duration::from_secs(15 * 60),
            away: Duration::from_secs(90),
            first_report: Duration::from_secs(30),
            last_report: Duration::from_secs(3),
            answer: Duration::from_secs(5 * 60),
        }
    }
}

// === impl Engine ===

impl Engine {
    /// Carries out a plan. It goes on when whoever asked has gone.
    pub async fn start_run(&self, request: StartRunRequest) -> Result<String, EngineError> {
        let kept = self.inner.plans.get(&request.plan_id)?;
        refuse_problems(&kept)?;
        let inner = &self.inner;
        if inner.stop.is_cancelled() {
            return Err(EngineError::Ending);
        }
        let port = advertise::port_of(&kept.listen);
        let moved = inner
            .core
            .set_advertise(advertise::complete(&kept.advertise, port))
            .await?;
        inner.listener.relocate(&kept.listen).await?;
        inner.listener.ensure().await?;
        if moved {
            inner.listener.tell_addresses(&inner.core.advertise()).await;
        }

        let id = Uuid::new_v4().simple().to_string()[..12].to_owned();
        let claim = Claim {
            holder: request.who.clone(),
            reason: if request.reason.is_empty() {
                "a run".to_owned()
            } else {
                request.reason.clone()
            },
            run: id.clone(),
        };
        let on_failure = request.on_failure();
        let wait = Duration::from_millis(request.lock_wait_ms);
        let engine = self.clone();
        lease::acquire(&inner.core, &claim, wait).await?;
        // From here on nothing may be left half done because the caller hung up.
        let starting = inner.tasks.spawn(async move {
            let started = engine.begin(id.clone(), &kept, &request).await;
            match started {
                Ok(active) => {
                    let tasks = engine.inner.tasks.clone();
                    tasks.spawn(execute::run(engine, active, kept, on_failure));
                    Ok(id)
                }
                Err(error) => {
                    lease::release(&engine.inner.core, &id).await?;
                    Err(EngineError::Store(error))
                }
            }
        });
        starting.await.map_err(|_| EngineError::Ending)?
    }

    async fn begin(
        &self,
        id: String,
        kept: &Kept,
        request: &StartRunRequest,
    ) -> Result<Arc<Active>, StoreError> {
        let planned = |step: &wire::PlannedStep| StepRecord {
            id: step.id.clone(),
            host: step.host.clone(),
            assignment: step.assignment.clone(),
            ..StepRecord::default()
        };
        let run = wire::Run {
            id: id.clone(),
            outcome: RunOutcome::Running.into(),
            who: request.who.clone(),
            reason: request.reason.clone(),
            started_ms: now_ms(),
            steps: kept.told.steps.iter().map(planned).collect(),
            summary: kept.told.summary,
            ..wire::Run::default()
        };
        let core = Arc::clone(&self.inner.core);
        core.store.runs.put(&run).await?;
        core.note_run(&id, format!("started by {}", run.who)).await;
        let active = Arc::new(Active {
            id: id.clone(),
            journal: Journal::new(core, run),
            cancel: CancellationToken::new(),
            leave: CancellationToken::new(),
            enrolments: enrolment::Enrolments::default(),
            question: questions::Questions::default(),
        });
        self.inner
            .runs
            .insert(Arc::clone(&active), self.inner.activity.enter());
        Ok(active)
    }

    /// What happened in a run after the event of this number, and what happens until it ends.
    pub async fn watch_run(
        &self,
        id: &str,
        after: u64,
    ) -> Result<BoxStream<'static, RunEvent>, EngineError> {
        let active = self.inner.runs.get(id);
        if active.is_none() {
            self.stored_run(id).await?;
        }
        let store = self.inner.core.store.runs.clone();
        Ok(journal::follow(
            store,
            id.to_owned(),
            after,
            active,
            self.inner.stop.clone(),
        ))
    }

    /// The first time, a run starts no new steps; the second time, it leaves those that are under way.
    pub async fn cancel_run(&self, id: &str) -> Result<(), EngineError> {
        let Some(active) = self.inner.runs.get(id) else {
            return self.stored_run(id).await.map(|_| ());
        };
        if active.cancel.is_cancelled() {
            active.leave.cancel();
        }
        active.cancel.cancel();
        Ok(())
    }

    /// Answers what a run asks.
    pub fn answer_run(&self, id: &str, question: &str, go_on: bool) -> Result<(), EngineError> {
        let active = self.inner.runs.get(id);
        let answered = active.is_some_and(|active| active.question.answer(question, go_on));
        if answered {
            return Ok(());
        }
        Err(EngineError::NoQuestion {
            run: id.to_owned(),
            question: question.to_owned(),
        })
    }

    /// The newest runs first; 0: all that are kept.
    pub async fn list_runs(&self, most: u32) -> Result<Vec<wire::Run>, EngineError> {
        let mut runs = self.inner.core.store.runs.list().await?;
        for run in &mut runs {
            if let Some(active) = self.inner.runs.get(&run.id) {
                *run = active.journal.run();
            }
        }
        if most > 0 {
            runs.truncate(most as usize);
        }
        Ok(runs)
    }

    /// One run.
    pub async fn get_run(&self, id: &str) -> Result<wire::Run, EngineError> {
        match self.inner.runs.get(id) {
            Some(active) => Ok(active.journal.run()),
            None => self.stored_run(id).await,
        }
    }

    /// Whoever enrols the hosts of a run says how it goes. `gone` tells when they can say nothing any more.
    pub fn report_enrolment(
        &self,
        report: EnrolmentReport,
        connection: u64,
        gone: &CancellationToken,
    ) -> Result<(), EngineError> {
        let Some(active) = self.inner.runs.get(&report.run) else {
            return Err(EngineError::NoRun { id: report.run });
        };
        if !report.progress.is_empty() {
            active.journal.progress(wire::StepProgress {
                step: enrolment::step_id(&report.hostname),
                host: report.hostname.clone(),
                text: report.progress.clone(),
                ..wire::StepProgress::default()
            });
        }
        if active.enrolments.report(report, connection) {
            let (gone, tasks) = (gone.clone(), &self.inner.tasks);
            tasks.spawn(async move {
                tokio::select! {
                    () = gone.cancelled() => active.enrolments.gone(connection),
                    () = active.journal.ended() => {}
                }
            });
        }
        Ok(())
    }

    /// Who may change the fleet now.
    pub async fn lease(&self) -> Result<wire::Lease, EngineError> {
        lease::show(&self.inner.core).await
    }

    /// Takes the lease away from its holder, whose run starts no new steps.
    pub async fn steal_lease(&self, who: &str) -> Result<wire::Lease, EngineError> {
        let lease = lease::steal(&self.inner.core, who).await?;
        if let Some(active) = self.inner.runs.get(&lease.run) {
            active.cancel.cancel();
        }
        Ok(lease)
    }

    async fn stored_run(&self, id: &str) -> Result<wire::Run, EngineError> {
        let run = self.inner.core.store.runs.get(id).await?;
        run.ok_or_else(|| EngineError::NoRun { id: id.to_owned() })
    }
}

/// Runs that the last controller left behind were interrupted; old ones are forgotten.
pub(super) async fn take_over(core: &Core) -> Result<(), StoreError> {
    let now_ms = now_ms();
    let runs = &core.store.runs;
    for mut run in runs.list().await? {
        if run.outcome() != RunOutcome::Running {
            continue;
        }
        for event in runs.events(&run.id, 0).await? {
            match event.body {
                Some(run_event::Body::StepStarted(started)) => {
                    set_step(&mut run, &started.step, |step| {
                        step.set_outcome(StepOutcome::Interrupted);
                        "the controller ended in the middle of it".clone_into(&mut step.cause);
                    });
                }
                Some(run_event::Body::StepEnded(wire::StepEnded {
                    record: Some(record),
                })) => {
                    let id = record.id.clone();
                    set_step(&mut run, &id, |step| *step = record);
                }
                _ => {}
            }
        }
        for step in &mut run.steps {
            if step.outcome() == StepOutcome::Unspecified {
                step.set_outcome(StepOutcome::Skipped);
                "the controller ended before it".clone_into(&mut step.cause);
            }
        }
        run.set_outcome(RunOutcome::Interrupted);
        run.ended_ms = now_ms;
        "the controller ended in the middle of it; run it again to go on"
            .clone_into(&mut run.cause);
        let ended = wire::RunEnded {
            outcome: run.outcome,
            cause: run.cause.clone(),
        };
        let event = RunEvent {
            at_ms: now_ms,
            body: Some(run_event::Body::RunEnded(ended)),
            ..RunEvent::default()
        };
        core.store
            .write(vec![runs.putting(&run), runs.appending(&run.id, &event)])
            .await?;
        lease::release(core, &run.id).await?;
    }
    let age_ms = u64::try_from(RETENTION.as_millis()).unwrap_or(u64::MAX);
    runs.trim(now_ms.saturating_sub(age_ms)).await?;
    core.store.events.trim(now_ms).await
}

fn set_step(run: &mut wire::Run, id: &str, change: impl FnOnce(&mut StepRecord)) {
    if let Some(step) = run.steps.iter_mut().find(|step| step.id == id) {
        change(step);
    }
}

fn refuse_problems(kept: &Kept) -> Result<(), EngineError> {
    let mut problems = kept.plan.problems.iter();
    let Some(first) = problems.next() else {
        return Ok(());
    };
    let hints = kept
        .plan
        .problems
        .iter()
        .map(|problem| problem.hint.clone());
    Err(EngineError::Blocked {
        first: first.message.clone(),
        others: problems.map(|problem| problem.message.clone()).collect(),
        hints: hints.filter(|hint| !hint.is_empty()).collect(),
    })
}
