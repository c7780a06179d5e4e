//! The runs under way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::Active;
use crate::daemon::Busy;

/// The runs under way, each keeping the controller alive.
#[derive(Default)]
pub(in crate::engine) struct Registry {
    runs: Mutex<HashMap<String, (Arc<Active>, Busy)>>,
}

// === impl Registry ===

impl Registry {
    /// The run of this id, while it is under way.
    pub(super) fn get(&self, id: &str) -> Option<Arc<Active>> {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.get(id).map(|(active, _)| Arc::clone(active))
    }

    /// The id of some run that is under way.
    pub(in crate::engine) fn any(&self) -> Option<String> {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.keys().next().cloned()
    }

    pub(super) fn insert(&self, active: Arc<Active>, busy: Busy) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.insert(active.id.clone(), (active, busy));
    }

    pub(super) fn remove(&self, id: &str) {
        self.runs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
    }
}
