//! Undoing what an assignment left on the host, when the host is left.

use crate::error_chain::ErrorChain;
use crate::ledger::Record;
use crate::tasks::{self, Context};

/// What leaving a host came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retired {
    /// What stays on the host on purpose.
    pub kept: Vec<String>,
    /// What could not be undone, each with its cause. Where there is any, the agent must stay.
    pub failures: Vec<String>,
}

// === impl Retired ===

impl Retired {
    /// Undoes the assignment, up to the first task that cannot be undone. Returns whether nothing of it is left.
    pub(crate) async fn undo(&mut self, cx: &Context, record: &Record, purge: bool) -> bool {
        for task in record.to_undo() {
            match tasks::remove(cx, &task, purge).await {
                Ok(removed) => self.kept.extend(removed.kept),
                Err(error) => {
                    let (name, task) = (&record.name, &task.id);
                    self.failures
                        .push(format!("{name}: {task}: {}", ErrorChain(&error)));
                    return false;
                }
            }
        }
        true
    }

    /// With each thing named once, in order.
    pub(crate) fn sorted(mut self) -> Self {
        self.kept.sort();
        self.kept.dedup();
        self
    }
}
