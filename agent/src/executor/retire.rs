//! Leaving a host: every assignment is undone, whatever became of it.

use foundry_proto::agent::v1::{JobOutcome, Outcome, Phase};
use tokio_util::sync::CancellationToken;

use super::Executor;
use crate::error_chain::ErrorChain;
use crate::jobs::Retired;
use crate::ledger::{KeeperGone, LedgerError, Record};
use crate::tasks::ProgressSink;

impl Executor {
    /// Ends all work and undoes every assignment; with `purge`, data too. From here on nothing new is accepted. Doing it again
    /// goes on with what is left.
    pub async fn retire(
        &self,
        purge: bool,
        cancel: &CancellationToken,
    ) -> Result<Retired, KeeperGone> {
        self.close();
        self.work.wait().await;
        let mut retired = Retired::default();
        for record in self.shared.books.records().await? {
            if cancel.is_cancelled() {
                retired.failures.push("it was cancelled".to_owned());
                break;
            }
            self.undo(record, purge, cancel, &mut retired).await?;
        }
        Ok(retired.sorted())
    }

    async fn undo(
        &self,
        record: Record,
        purge: bool,
        cancel: &CancellationToken,
        retired: &mut Retired,
    ) -> Result<(), KeeperGone> {
        let books = &self.shared.books;
        let outcome = Outcome {
            phase: Phase::Cancelled.into(),
            message: "the agent is being taken off this host".to_owned(),
            ..Outcome::default()
        };
        books
            .conclude(&record.name, record.revision, outcome)
            .await?;
        let cx = self.shared.context(ProgressSink::none(), cancel.clone());
        if !retired.undo(&cx, &record, purge).await {
            return Ok(());
        }
        let name = record.name;
        let forgotten = books.with(move |ledger, books| {
            let Some(mut record) = ledger.record(&name).cloned() else {
                return Ok(());
            };
            record.forget();
            ledger.note(record, &books.times.now())
        });
        if let Err(error) = forgotten.await? {
            // It is undone; at worst it is undone once more.
            tracing::warn!(error = %ErrorChain(&error), "a removal is not recorded");
        }
        Ok(())
    }

    /// Reports how a job ended; the number of the event.
    pub(crate) async fn report_job(
        &self,
        outcome: JobOutcome,
    ) -> Result<Result<u64, LedgerError>, KeeperGone> {
        self.shared.books.job(outcome).await
    }

    /// Returns when the controller has this event.
    pub(crate) async fn until_acknowledged(&self, number: u64) {
        self.shared
            .books
            .keeper
            .unacknowledged()
            .acknowledged(number)
            .await;
    }
}
