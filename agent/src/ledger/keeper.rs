//! The thread that owns the ledger: disks may be slow, and the session must not wait for them.

use std::sync::Arc;
use std::thread;

use tokio::sync::{mpsc, oneshot};

use super::{Ledger, Unacknowledged};

type Work = Box<dyn FnOnce(&mut Ledger) + Send>;

/// How many calls may wait.
const QUEUE: usize = 256;

/// Access to the ledger. Calls are carried out one after the other, in order. Cheap to clone; the thread ends, and the
/// ledger is closed, with the last clone.
#[derive(Clone)]
pub struct Keeper {
    work: mpsc::Sender<Work>,
    unacknowledged: Arc<Unacknowledged>,
}

/// The ledger's thread ended: the agent is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ledger is closed")]
pub struct KeeperGone;

// === impl Keeper ===

impl Keeper {
    /// Starts the thread.
    pub fn start(mut ledger: Ledger) -> std::io::Result<Self> {
        let (work, mut queue) = mpsc::channel::<Work>(QUEUE);
        let unacknowledged = Arc::clone(ledger.unacknowledged());
        thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || {
                while let Some(work) = queue.blocking_recv() {
                    work(&mut ledger);
                }
            })?;
        Ok(Self {
            work,
            unacknowledged,
        })
    }

    /// Does something with the ledger and returns what came of it.
    pub async fn call<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Ledger) -> R + Send + 'static,
    ) -> Result<R, KeeperGone> {
        let (done, result) = oneshot::channel();
        let work: Work = Box::new(move |ledger| {
            // Nobody waits any more: the work is done all the same.
            let _ = done.send(work(ledger));
        });
        self.work.send(work).await.map_err(|_| KeeperGone)?;
        result.await.map_err(|_| KeeperGone)
    }

    /// The events that wait for their acknowledgement.
    pub fn unacknowledged(&self) -> &Unacknowledged {
        &self.unacknowledged
    }
}
