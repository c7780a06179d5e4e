//! Waiting until a host of the run is enrolled: that is done over ssh by the command line, which tells how it goes.
//!
//! The wait ends when the host's session is up, when its failure is reported, or when nobody is left who could report
//! anything; it never hangs.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use foundry_proto::Hostname;
use foundry_proto::operator::v1::{EnrolmentReport, StepOutcome};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::super::Engine;
use super::Active;
use super::step::StepEnd;

/// What is reported of the enrolments of one run.
#[derive(Default)]
pub(super) struct Enrolments {
    state: Mutex<State>,
    news: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    /// Connections that reports came over, and that are still there.
    reporters: HashSet<u64>,
    /// Since when none is left.
    silent_since: Option<Instant>,
    hosts: HashMap<String, Report>,
}

#[derive(Clone)]
enum Report {
    Done,
    Failed { error: String, hints: Vec<String> },
}

/// The step of a plan that enrols a host.
pub(super) fn step_id(hostname: &str) -> String {
    format!("{hostname}/enrol")
}

// === impl Enrolments ===

impl Enrolments {
    /// Takes a report. Whether its connection is new here, and is to be watched.
    pub(super) fn report(&self, report: EnrolmentReport, connection: u64) -> bool {
        let new = self.change(|state| {
            if !report.error.is_empty() {
                let failed = Report::Failed {
                    error: report.error,
                    hints: report.hints,
                };
                state.hosts.insert(report.hostname, failed);
            } else if report.done {
                state.hosts.insert(report.hostname, Report::Done);
            }
            state.silent_since = None;
            state.reporters.insert(connection)
        });
        self.news.send_modify(|tick| *tick += 1);
        new
    }

    /// Nothing more comes over this connection.
    pub(super) fn gone(&self, connection: u64) {
        self.change(|state| {
            state.reporters.remove(&connection);
            if state.reporters.is_empty() {
                state.silent_since = Some(Instant::now());
            }
        });
        self.news.send_modify(|tick| *tick += 1);
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Waits until this host's agent is there.
pub(super) async fn wait(engine: &Engine, active: &Active, hostname: &Hostname) -> StepEnd {
    let timing = engine.inner.timing;
    let started = Instant::now();
    let deadline = started + timing.step;
    let mut news = active.enrolments.news.subscribe();
    let mut fleet = engine.inner.core.view.watch_all();
    loop {
        let view = &engine.inner.core.view;
        let here = view.by_name(hostname.as_str());
        if here.is_some_and(|id| view.read(id, |host| host.connected_ms).flatten().is_some()) {
            return StepEnd::ok(true);
        }
        let (report, nobody_since, ever) = active.enrolments.change(|state| {
            let report = state.hosts.get(hostname.as_str()).cloned();
            let nobody = state.reporters.is_empty();
            let since = nobody.then(|| state.silent_since.unwrap_or(started));
            (report, since, state.silent_since.is_some() || !nobody)
        });
        if let Some(Report::Failed { error, hints }) = report {
            return StepEnd {
                hints,
                ..StepEnd::failed(error)
            };
        }
        let grace = if ever {
            timing.last_report
        } else {
            timing.first_report
        };
        let give_up = nobody_since.map_or(deadline, |since| deadline.min(since + grace));
        if Instant::now() >= give_up {
            return gave_up(hostname, report.as_ref(), nobody_since.is_some());
        }
        tokio::select! {
            _ = news.changed() => {}
            _ = fleet.changed() => {}
            () = sleep_until(give_up) => {}
            () = active.cancel.cancelled() => {
                let cause = "the run was cancelled before the host was enrolled";
                return StepEnd::new(StepOutcome::Cancelled, cause);
            }
        }
    }
}

fn gave_up(hostname: &Hostname, report: Option<&Report>, nobody: bool) -> StepEnd {
    let again = format!("run it again, or enrol it alone: `foundry host bootstrap {hostname}`");
    let cause = match report {
        Some(Report::Done) => "it was enrolled, but its agent did not connect",
        _ if nobody => "whoever was enrolling it ended without a word",
        _ => "it was not enrolled in time",
    };
    StepEnd {
        hints: vec![again],
        ..StepEnd::failed(cause)
    }
}
