//! The latest of everything that the agent says of itself without asking anybody: read at each connection.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foundry_proto::agent::v1::{Facts, Health, HealthReport, Holding};

use crate::ledger::{Ledger, Record, Stamp};

/// The latest values.
pub(super) struct Board {
    inner: Mutex<Inner>,
}

struct Inner {
    lines: BTreeMap<String, Line>,
    facts: Facts,
    ledger_id: String,
    store_id: String,
}

/// What is known of one assignment.
struct Line {
    /// Without content, tasks and events.
    record: Record,
    health: Option<(HealthReport, Stamp)>,
}

// === impl Board ===

impl Board {
    /// A board that shows what the ledger holds, from now on.
    pub(super) fn show(ledger: &mut Ledger, facts: Facts) -> Arc<Self> {
        let (ledger_id, store_id) = (ledger.id().to_owned(), ledger.store_id().to_owned());
        let inner = Inner {
            facts,
            ledger_id,
            store_id,
            lines: BTreeMap::new(),
        };
        let board = Arc::new(Self {
            inner: Mutex::new(inner),
        });
        let shown = Arc::clone(&board);
        ledger.show_to(move |record| shown.put(record));
        board
    }

    fn put(&self, record: &Record) {
        let summary = Record {
            content: bytes::Bytes::new(),
            achieved_tasks: Vec::new(),
            attempted_tasks: Vec::new(),
            pending: Vec::new(),
            ..record.clone()
        };
        let mut inner = self.lock();
        let health = inner
            .lines
            .remove(&record.name)
            .and_then(|line| line.health);
        let health = health.filter(|_| !record.is_gone());
        inner.lines.insert(
            record.name.clone(),
            Line {
                record: summary,
                health,
            },
        );
    }

    /// Only these assignments are still known.
    pub(super) fn retain(&self, known: impl Fn(&str) -> bool) {
        self.lock().lines.retain(|name, _| known(name));
    }

    /// The latest health of an assignment. Of one that is gone it is not kept.
    pub(super) fn report(&self, report: HealthReport, now: Stamp) -> bool {
        match self.lock().lines.get_mut(&report.assignment) {
            Some(line) if !line.record.is_gone() => {
                line.health = Some((report, now));
                true
            }
            Some(_) | None => false,
        }
    }

    pub(super) fn set_facts(&self, facts: Facts) {
        self.lock().facts = facts;
    }

    pub(super) fn set_store(&self, store_id: &str) {
        store_id.clone_into(&mut self.lock().store_id);
    }

    pub(super) fn facts(&self) -> Facts {
        self.lock().facts.clone()
    }

    pub(super) fn ids(&self) -> (String, String) {
        let inner = self.lock();
        (inner.ledger_id.clone(), inner.store_id.clone())
    }

    /// All assignments as Hello lists them.
    pub(super) fn holdings(&self, now: &Stamp) -> Vec<Holding> {
        let health = |(report, at): &(HealthReport, Stamp)| {
            report.health.as_ref().map(|health| Health {
                age_ms: health.age_ms.saturating_add(at.age_ms(now)),
                ..health.clone()
            })
        };
        self.lock()
            .lines
            .values()
            .map(|line| Holding {
                health: line.health.as_ref().and_then(health),
                ..line.record.holding(now)
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
