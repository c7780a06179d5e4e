//! What the session asks of the executor.

use std::sync::Arc;

use async_trait::async_trait;
use foundry_proto::agent::v1::{
    Assign, Event, Hello, IssuedCertificate, Observe, ObserveReply, ObservedAssignment, Outcome,
    Phase, StartJob, Subsystem, UpdateAgent, Welcome,
};

use super::Executor;
use super::books::Taken;
use super::observe::observe;
use crate::error_chain::ErrorChain;
use crate::facts;
use crate::ledger::KeeperGone;
use crate::session::{Agent, Outgoing};

/// The most assignments that one Observe may ask for.
const MOST_OBSERVED: usize = 512;

#[async_trait]
impl Agent for Executor {
    fn hello(&self) -> Hello {
        Self::hello(self)
    }

    async fn unacknowledged(&self, after: u64, limit: usize) -> Vec<Event> {
        let books = &self.shared.books;
        books
            .keeper
            .unacknowledged()
            .after(after, limit, &books.times.now())
    }

    async fn welcome(&self, welcome: &Welcome) {
        if let Some(renewal) = &self.shared.renewal {
            renewal
                .settings(&welcome.addresses, &welcome.trusted_cas)
                .await;
        }
        if welcome.renew_certificate
            && let Some(request) = self.shared.renewal.as_ref().and_then(|r| r.request())
        {
            // Lossy: it is asked for again after the next welcome.
            let _ = self
                .shared
                .outgoing
                .try_send(Outgoing::CertificateRequest(request));
        }
        if welcome.store_id.is_empty() || self.shared.books.board.ids().1 == welcome.store_id {
            return;
        }
        let store_id = welcome.store_id.clone();
        let noted = self.shared.books.with(move |ledger, books| {
            books.board.set_store(&store_id);
            ledger.set_store(&store_id, &books.times.now())
        });
        if let Ok(Err(error)) = noted.await {
            tracing::warn!(error = %ErrorChain(&error), "the store's id is not recorded");
        }
    }

    async fn assign(&self, assign: Assign) {
        let (name, revision) = (assign.name.clone(), assign.revision);
        if self.workers().closed {
            let reason = "the agent is being taken off this host".to_owned();
            log(self.shared.books.reject(&name, revision, reason).await);
            return;
        }
        match self.shared.books.accept(assign).await {
            Ok(Taken::New) => {
                tracing::info!(assignment = name, revision, "accepted");
                self.poke(&name);
            }
            Ok(Taken::Nothing) => {}
            Err(gone) => log(Err(gone)),
        }
    }

    async fn refuse(&self, assign: Assign, reason: String) {
        log(self
            .shared
            .books
            .reject(&assign.name, assign.revision, reason)
            .await);
    }

    async fn cancel(&self, name: &str, revision: u64) {
        let outcome = Outcome {
            phase: Phase::Cancelled.into(),
            message: "cancelled by the controller".to_owned(),
            ..Outcome::default()
        };
        match self.shared.books.conclude(name, revision, outcome).await {
            Ok(true) => self.poke(name),
            Ok(false) => {}
            Err(gone) => log(Err(gone)),
        }
    }

    async fn observe(&self, request: Observe) -> ObserveReply {
        let Observe {
            id,
            mut items,
            facts: wanted,
        } = request;
        let _piece = self
            .shared
            .activity
            .begin(self.shared.books.times.monotonic());
        let beyond = items.split_off(items.len().min(MOST_OBSERVED));
        let mut assignments = observe(&self.shared, items).await;
        assignments.extend(beyond.into_iter().map(|item| {
            let error = format!("more than {MOST_OBSERVED} assignments in one request");
            ObservedAssignment {
                name: item.name,
                error,
                diffs: vec![],
            }
        }));
        let mut facts = None;
        if wanted {
            facts = Some(self.shared.refresh_facts().await);
        }
        ObserveReply {
            id,
            assignments,
            facts,
        }
    }

    async fn start_job(&self, job: StartJob) {
        Arc::clone(&self.shared.jobs).start(self.clone(), job);
    }

    async fn cancel_job(&self, id: &str) {
        self.shared.jobs.cancel(id);
    }

    async fn acknowledged(&self, through: u64) {
        let done = self
            .shared
            .books
            .with(move |ledger, _| ledger.acknowledge(through))
            .await;
        if let Ok(Err(error)) = done {
            tracing::warn!(error = %ErrorChain(&error), "acknowledged events are kept");
        }
    }

    async fn certificate(&self, certificate: IssuedCertificate) {
        if let Some(renewal) = &self.shared.renewal {
            renewal.certificate(certificate).await;
        }
    }

    async fn update(&self, update: UpdateAgent) {
        tracing::warn!(
            version = update.version,
            "this agent cannot replace itself; ignored"
        );
    }

    fn subsystems(&self) -> Vec<Subsystem> {
        let now = self.shared.books.times.monotonic();
        vec![
            self.shared.activity.subsystem(now),
            self.shared.health.subsystem(now),
        ]
    }

    fn memory_bytes(&self) -> u64 {
        facts::resident_bytes()
    }
}

/// Orders that come while the agent stops are the next start's.
fn log(result: Result<(), KeeperGone>) {
    if result.is_err() {
        tracing::info!("an order came while the agent stops");
    }
}
