//! What happens in a run: stored, and told to whoever watches.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use foundry_proto::operator::v1::{
    Run, RunEnded, RunEvent, RunOutcome, StepEnded, StepProgress, StepRecord, StepStarted,
    run_event::Body,
};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::super::clock::now_ms;
use super::super::core::Core;
use super::Active;
use crate::store::{Runs, StoreError};

/// Pieces of progress that a watcher may be behind; one that is further behind misses some.
const BEHIND: usize = 1024;

/// The events of one run.
///
/// Whoever watches reads what is stored from the store, in its order, each time that `stored` ticks; only what is never
/// stored is handed over directly.
pub(super) struct Journal {
    core: Arc<Core>,
    run: Mutex<Run>,
    stored: watch::Sender<u64>,
    passing: broadcast::Sender<RunEvent>,
    ended: CancellationToken,
}

// === impl Journal ===

impl Journal {
    pub(super) fn new(core: Arc<Core>, run: Run) -> Self {
        Self {
            core,
            run: Mutex::new(run),
            stored: watch::Sender::new(0),
            passing: broadcast::channel(BEHIND).0,
            ended: CancellationToken::new(),
        }
    }

    /// The run as it stands.
    pub(super) fn run(&self) -> Run {
        self.run
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The ids of its steps.
    pub(super) fn step_ids(&self) -> HashSet<String> {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        run.steps.iter().map(|step| step.id.clone()).collect()
    }

    /// Returns once the run has ended.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// A step starts. What is done for it may only begin when this is stored.
    pub(super) async fn step_started(&self, step: StepStarted) -> Result<(), StoreError> {
        self.append(Body::StepStarted(step)).await
    }

    /// A step ended; it has ended even if that cannot be stored.
    pub(super) async fn step_ended(&self, record: StepRecord) {
        {
            let mut run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(step) = run.steps.iter_mut().find(|step| step.id == record.id) {
                step.clone_from(&record);
            }
        }
        let ended = Body::StepEnded(StepEnded {
            record: Some(record),
        });
        self.append_or_log(ended).await;
    }

    /// A question for whoever watches. It is not stored: it means nothing to those who come later.
    pub(super) fn ask(&self, question: foundry_proto::operator::v1::Question) {
        self.pass(Body::Question(question));
    }

    /// A step goes on. It is not stored, and those who come later do not see it.
    pub(super) fn progress(&self, progress: StepProgress) {
        self.pass(Body::StepProgress(progress));
    }

    /// The run ended. Whether that is stored; if not, the next controller will call it interrupted.
    pub(super) async fn run_ended(&self, outcome: RunOutcome, cause: String) -> bool {
        let at_ms = now_ms();
        let run = {
            let mut run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
            run.set_outcome(outcome);
            run.ended_ms = at_ms;
            run.cause.clone_from(&cause);
            run.clone()
        };
        let runs = &self.core.store.runs;
        let batch = vec![runs.putting(&run), runs.appending(&run.id, &ending(&run))];
        let stored = self.core.store.write(batch).await;
        self.ended.cancel();
        if let Err(error) = &stored {
            let run = run.id;
            tracing::error!(
                run,
                error = error as &dyn std::error::Error,
                "end of a run not stored"
            );
        }
        stored.is_ok()
    }

    async fn append_or_log(&self, body: Body) {
        if let Err(error) = self.append(body).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "event of a run not stored"
            );
        }
    }

    async fn append(&self, body: Body) -> Result<(), StoreError> {
        let event = RunEvent {
            at_ms: now_ms(),
            body: Some(body),
            number: 0,
        };
        let id = self
            .run
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .id
            .clone();
        self.core.store.runs.append(&id, &event).await?;
        self.stored.send_modify(|tick| *tick += 1);
        Ok(())
    }

    fn pass(&self, body: Body) {
        // Nobody may be watching.
        let _ = self.passing.send(RunEvent {
            at_ms: now_ms(),
            body: Some(body),
            number: 0,
        });
    }
}

/// The last event of a run.
fn ending(run: &Run) -> RunEvent {
    let ended = RunEnded {
        outcome: run.outcome,
        cause: run.cause.clone(),
    };
    RunEvent {
        at_ms: run.ended_ms,
        body: Some(Body::RunEnded(ended)),
        number: 0,
    }
}

/// Where a watcher stands.
struct Watch {
    runs: Runs,
    id: String,
    /// The newest stored event that was given out.
    last: u64,
    replay: std::vec::IntoIter<RunEvent>,
    live: Option<Live>,
    reread: bool,
    over: bool,
    stop: CancellationToken,
}

/// A run under way, as a watcher sees it.
struct Live {
    active: Arc<Active>,
    stored: watch::Receiver<u64>,
    passing: broadcast::Receiver<RunEvent>,
}

/// What a watcher is woken by.
enum Wake {
    Stored,
    Passing(RunEvent),
    Ended,
}

/// The stored events of a run after a number, then, where it is under way, what happens until it ends.
pub(super) fn follow(
    runs: Runs,
    id: String,
    after: u64,
    active: Option<Arc<Active>>,
    stop: CancellationToken,
) -> BoxStream<'static, RunEvent> {
    // Subscribed before the store is read: nothing falls in between.
    let live = active.map(|active| Live {
        stored: active.journal.stored.subscribe(),
        passing: active.journal.passing.subscribe(),
        active,
    });
    let replay = Vec::new().into_iter();
    let watch = Watch {
        runs,
        id,
        last: after,
        replay,
        live,
        reread: true,
        over: false,
        stop,
    };
    stream::unfold(watch, next).boxed()
}

async fn next(mut watch: Watch) -> Option<(RunEvent, Watch)> {
    loop {
        if watch.over {
            return None;
        }
        if let Some(event) = watch.replay.next() {
            return Some(watch.give(event));
        }
        if std::mem::take(&mut watch.reread) {
            let events = watch.runs.events(&watch.id, watch.last).await;
            watch.replay = events.unwrap_or_default().into_iter();
            continue;
        }
        let live = watch.live.as_mut()?;
        let wake = tokio::select! {
            () = watch.stop.cancelled() => return None,
            wake = live.wake() => wake,
        };
        match wake {
            Wake::Stored => watch.reread = true,
            Wake::Passing(event) => return Some(watch.give(event)),
            Wake::Ended => {
                let run = watch.live.take()?.active.journal.run();
                let events = watch
                    .runs
                    .events(&watch.id, watch.last)
                    .await
                    .unwrap_or_default();
                let stored = |event: &RunEvent| matches!(event.body, Some(Body::RunEnded(_)));
                let missing = (!events.iter().any(stored)).then(|| ending(&run));
                watch.replay = events
                    .into_iter()
                    .chain(missing)
                    .collect::<Vec<_>>()
                    .into_iter();
            }
        }
    }
}

// === impl Live ===

impl Live {
    async fn wake(&mut self) -> Wake {
        loop {
            tokio::select! {
                biased;
                changed = self.stored.changed() => if changed.is_ok() { return Wake::Stored },
                event = self.passing.recv() => match event {
                    Ok(event) => return Wake::Passing(event),
                    Err(RecvError::Lagged(_) | RecvError::Closed) => {}
                },
                () = self.active.journal.ended() => return Wake::Ended,
            }
        }
    }
}

// === impl Watch ===

impl Watch {
    fn give(mut self, event: RunEvent) -> (RunEvent, Self) {
        self.last = self.last.max(event.number);
        self.over = matches!(event.body, Some(Body::RunEnded(_)));
        (event, self)
    }
}
