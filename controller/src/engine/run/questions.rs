//! What a run asks its operator.

use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;
use uuid::Uuid;

/// The open question of a run, if it has one.
#[derive(Default)]
pub(super) struct Questions {
    open: Mutex<Option<(String, oneshot::Sender<bool>)>>,
}

// === impl Questions ===

impl Questions {
    /// Answers the open question, if this is it.
    pub(super) fn answer(&self, id: &str, go_on: bool) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.take_if(|(open, _)| open == id) {
            Some((_, answer)) => answer.send(go_on).is_ok(),
            None => false,
        }
    }

    /// Opens a question. Its id, and the answer when it comes.
    pub(super) fn ask(&self) -> (String, oneshot::Receiver<bool>) {
        let id = Uuid::new_v4().simple().to_string();
        let (answer, answered) = oneshot::channel();
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some((id.clone(), answer));
        (id, answered)
    }
}
