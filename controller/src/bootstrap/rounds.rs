//! Many hosts: in parallel without a terminal, then those that need an answer, one at a time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use secrecy::SecretString;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::cause::Cause;
use super::enrol::{Job, Success};
use super::order::{Order, Target};
use super::settings::Settings;
use super::ssh::Mode;
use crate::api::client::Client;
use crate::output::json::enrolment::{EnrolmentDocument, EnrolmentsDocument};
use crate::output::{Printer, Progress, Tone, time};

/// A host gets this long in all, whatever it says; a slow line has to carry a few megabytes.
const DEADLINE: Duration = Duration::from_secs(15 * 60);

/// How one host went.
#[derive(Debug, Clone)]
pub(super) struct Enrolment {
    /// Its name.
    pub hostname: String,
    /// How it went.
    pub result: Result<Success, Cause>,
    /// In milliseconds.
    pub took_ms: u64,
}

/// Enrols all of them without a terminal; `say` hears about each host, `ended` once when it is done.
pub(super) async fn in_parallel(
    job: &Job,
    order: &Order,
    say: &(dyn Fn(&Target, &str) + Sync),
    ended: &(dyn Fn(&Enrolment) + Sync),
) -> Vec<Enrolment> {
    let slots = Arc::new(Semaphore::new(usize::from(order.parallel.max(1))));
    let mut running: FuturesUnordered<_> = order
        .targets
        .iter()
        .enumerate()
        .map(|(index, target)| {
            let slots = Arc::clone(&slots);
            async move {
                // The semaphore is never closed.
                let _slot = slots.acquire().await;
                let done = one(job, target, Mode::Batch, order.password.as_ref(), say).await;
                ended(&done);
                (index, done)
            }
        })
        .collect();
    let mut done = Vec::new();
    while let Some(enrolment) = running.next().await {
        done.push(enrolment);
    }
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, enrolment)| enrolment).collect()
}

/// Enrols all of them while the user watches; whoever sits at the terminal is asked for what ssh and sudo want.
pub async fn by_hand(
    settings: &Settings,
    order: &Order,
    client: Client,
    printer: &Printer,
) -> EnrolmentsDocument {
    let job = Job::new(settings, order, client);
    let can_ask = printer.settings().can_ask;
    let progress = printer.progress();
    let say = |target: &Target, text: &str| progress.update(&target.hostname, text);
    let ended = |enrolment: &Enrolment| {
        if !can_ask || !enrolment.needs_answer() {
            enrolment.show(&progress);
        }
    };
    let mut enrolments = in_parallel(&job, order, &say, &ended).await;
    if can_ask {
        for (enrolment, target) in enrolments.iter_mut().zip(&order.targets) {
            if enrolment.needs_answer() {
                *enrolment = ask(&job, order, target, enrolment, printer, &progress).await;
                enrolment.show(&progress);
            }
        }
    }
    EnrolmentsDocument {
        hosts: enrolments.iter().map(Enrolment::document).collect(),
    }
}

/// One more time, with the terminal.
async fn ask(
    job: &Job,
    order: &Order,
    target: &Target,
    before: &Enrolment,
    printer: &Printer,
    progress: &Progress,
) -> Enrolment {
    progress.finish(&target.hostname, "needs an answer", Tone::Warn);
    let mut password = order.password.clone();
    let mut mode = Mode::Terminal;
    if before.result == Err(Cause::SudoNeedsPassword) {
        password = question(target, printer);
        mode = Mode::Batch;
    }
    let quiet = |_: &Target, _: &str| {};
    let done = one(job, target, mode, password.as_ref(), &quiet).await;
    if password.is_some() || done.result != Err(Cause::SudoNeedsPassword) {
        return done;
    }
    // The login needed an answer, and now sudo does.
    let password = question(target, printer);
    one(job, target, mode, password.as_ref(), &quiet).await
}

fn question(target: &Target, printer: &Printer) -> Option<SecretString> {
    let user = target.user.as_deref().unwrap_or("the login");
    let question = format!("Password of {user} on {} for sudo:", target.hostname);
    printer
        .password(&question, "--become-password-file FILE")
        .ok()
}

async fn one(
    job: &Job,
    target: &Target,
    mode: Mode,
    password: Option<&SecretString>,
    say: &(dyn Fn(&Target, &str) + Sync),
) -> Enrolment {
    let started = Instant::now();
    let tell = |text: &str| say(target, text);
    let work = job.enrol(target, mode, password, &tell);
    let result = timeout(DEADLINE, work).await.unwrap_or(Err(Cause::TooLong {
        minutes: DEADLINE.as_secs() / 60,
    }));
    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Enrolment {
        hostname: target.hostname.clone(),
        result,
        took_ms,
    }
}

// === impl Enrolment ===

impl Enrolment {
    fn needs_answer(&self) -> bool {
        self.result.as_ref().is_err_and(Cause::can_be_asked)
    }

    fn show(&self, progress: &Progress) {
        let took = time::duration(self.took_ms);
        match &self.result {
            Ok(success) => {
                let what = if success.enrolled {
                    "enrolled"
                } else {
                    "unchanged"
                };
                progress.finish(&self.hostname, &format!("{what}, {took}"), Tone::Good);
                for warning in &success.warnings {
                    progress.note(&[("  warning:", Tone::Warn), (warning, Tone::Plain)]);
                }
            }
            Err(cause) => {
                progress.finish(&self.hostname, &format!("failed: {cause}"), Tone::Bad);
                for hint in cause.hints(&self.hostname) {
                    progress.note(&[("  hint:", Tone::Good), (&hint, Tone::Plain)]);
                }
            }
        }
    }

    fn document(&self) -> EnrolmentDocument {
        let (outcome, success) = match &self.result {
            Ok(success) if success.enrolled => ("enrolled", success.clone()),
            Ok(success) => ("unchanged", success.clone()),
            Err(_) => ("failed", Success::default()),
        };
        let cause = self.result.as_ref().err();
        EnrolmentDocument {
            name: self.hostname.clone(),
            outcome,
            cause: cause.map(ToString::to_string),
            hints: cause
                .map(|cause| cause.hints(&self.hostname))
                .unwrap_or_default(),
            warnings: success.warnings,
            sent_bytes: success.sent,
            duration_ms: self.took_ms,
        }
    }
}
