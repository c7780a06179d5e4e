//! The thread that owns the ledger: disks may be slow, and the session must not wait for them.

use std::sync::Arc;
use std::thread;

use tokio::sync::{mpsc, oneshot};

use super::{Ledger, LedgerError, Stamp, Unacknowledged};

/// How many calls may wait.
const QUEUE: usize = 256;

/// Access to the ledger. Calls are carried out one after the other, in order. Cheap to clone; the thread ends with the
/// last clone, or when it is closed.
#[derive(Clone)]
pub struct Keeper {
    calls: mpsc::Sender<Call>,
    unacknowledged: Arc<Unacknowledged>,
}

/// The ledger is closed: the agent is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ledger is closed")]
pub struct KeeperGone;

enum Call {
    Work(Box<dyn FnOnce(&mut Ledger) + Send>),
    Close(Stamp, oneshot::Sender<Result<(), LedgerError>>),
}

// === impl Keeper ===

impl Keeper {
    /// Starts the thread.
    pub fn start(ledger: Ledger) -> std::io::Result<Self> {
        let (calls, queue) = mpsc::channel(QUEUE);
        let unacknowledged = Arc::clone(ledger.unacknowledged());
        thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || keep(ledger, queue))?;
        Ok(Self {
            calls,
            unacknowledged,
        })
    }

    /// Does something with the ledger and returns what came of it.
    pub async fn call<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Ledger) -> R + Send + 'static,
    ) -> Result<R, KeeperGone> {
        let (done, result) = oneshot::channel();
        let work = Call::Work(Box::new(move |ledger| {
            // Nobody waits any more: the work is done all the same.
            let _ = done.send(work(ledger));
        }));
        self.calls.send(work).await.map_err(|_| KeeperGone)?;
        result.await.map_err(|_| KeeperGone)
    }

    /// Closes the ledger: every later call fails, and another agent can open it.
    pub async fn close(&self, now: Stamp) -> Result<Result<(), LedgerError>, KeeperGone> {
        let (done, result) = oneshot::channel();
        self.calls
            .send(Call::Close(now, done))
            .await
            .map_err(|_| KeeperGone)?;
        result.await.map_err(|_| KeeperGone)
    }

    /// The events that wait for their acknowledgement.
    pub fn unacknowledged(&self) -> &Unacknowledged {
        &self.unacknowledged
    }
}

fn keep(mut ledger: Ledger, mut queue: mpsc::Receiver<Call>) {
    while let Some(call) = queue.blocking_recv() {
        match call {
            Call::Work(work) => work(&mut ledger),
            Call::Close(now, done) => {
                let closed = ledger.close(&now);
                // Unlocked before anybody is told.
                drop(ledger);
                let _ = done.send(closed);
                return;
            }
        }
    }
}
