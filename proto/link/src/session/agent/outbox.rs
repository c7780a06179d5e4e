//! What waits to be sent: across connections ([`Outbox`]) and on one of them ([`Queue`]).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use foundry_proto::agent::v1::agent_message::Body;
use foundry_proto::agent::v1::{DriftReport, Event, HealthReport, JobOutput, Progress};

/// Events kept in memory; the ledger has the rest.
const WINDOW: usize = 256;

/// Names with a latest value; more than one host ever has.
const NAMES: usize = 1024;

/// Messages that wait on one connection, of each kind.
const QUEUE: usize = 64;

/// What outlives a connection.
#[derive(Debug)]
pub(super) struct Outbox {
    /// Unacknowledged events, ascending, each with when it came here.
    window: VecDeque<(Duration, Event)>,
    /// How many of the window were sent on this connection.
    sent: usize,
    /// The highest number that was in the window or acknowledged.
    highest: u64,
    /// The ledger may have events above `highest`.
    more: bool,
    /// An event was left to the ledger since it was last asked: it may not be in that answer.
    left: bool,
    health: BTreeMap<String, HealthReport>,
    drift: BTreeMap<String, DriftReport>,
    drift_unsent: BTreeSet<String>,
}

/// What ends with a connection.
#[derive(Debug, Default)]
pub(super) struct Queue {
    answers: VecDeque<Body>,
    lossy: VecDeque<Body>,
    dropped_progress: u64,
    dropped_bytes: u64,
}

// === impl Outbox ===

impl Default for Outbox {
    fn default() -> Self {
        Self {
            window: VecDeque::new(),
            sent: 0,
            highest: 0,
            more: true,
            left: false,
            health: BTreeMap::new(),
            drift: BTreeMap::new(),
            drift_unsent: BTreeSet::new(),
        }
    }
}

impl Outbox {
    /// A new connection: everything unacknowledged goes again. Health is in Hello; drift is not.
    pub(super) fn rewind(&mut self) {
        self.sent = 0;
        self.drift_unsent = self.drift.keys().cloned().collect();
    }

    pub(super) fn event(&mut self, now: Duration, event: Event) {
        if self.more || self.window.len() >= WINDOW {
            // It is in the ledger, and comes from there in its turn.
            self.more = true;
            self.left = true;
        } else {
            self.push(now, event);
        }
    }

    pub(super) fn wants_events(&self) -> Option<(u64, usize)> {
        let room = WINDOW - self.window.len();
        (self.more && room >= WINDOW / 2).then_some((self.highest, room))
    }

    pub(super) fn refill(&mut self, now: Duration, events: Vec<Event>, asked: usize) {
        self.more = std::mem::take(&mut self.left) || events.len() >= asked;
        for event in events {
            if self.window.len() < WINDOW {
                self.push(now, event);
            } else {
                self.more = true;
            }
        }
    }

    fn push(&mut self, now: Duration, event: Event) {
        if event.number > self.highest {
            self.highest = event.number;
            self.window.push_back((now, event));
        }
    }

    /// Whether that was news.
    pub(super) fn acknowledged(&mut self, through: u64) -> bool {
        let gone = self
            .window
            .partition_point(|(_, event)| event.number <= through);
        self.window.drain(..gone);
        self.sent = self.sent.saturating_sub(gone);
        self.highest = self.highest.max(through);
        let (drift, unsent) = (&mut self.drift, &self.drift_unsent);
        drift.retain(|name, report| !report.diffs.is_empty() || unsent.contains(name));
        gone > 0
    }

    pub(super) fn health(&mut self, report: HealthReport) {
        if self.health.len() < NAMES || self.health.contains_key(&report.assignment) {
            self.health.insert(report.assignment.clone(), report);
        }
    }

    pub(super) fn drift(&mut self, report: DriftReport) {
        if self.drift.len() < NAMES || self.drift.contains_key(&report.assignment) {
            self.drift_unsent.insert(report.assignment.clone());
            self.drift.insert(report.assignment.clone(), report);
        }
    }

    pub(super) fn poll(&mut self, now: Duration) -> Option<Body> {
        if let Some((since, event)) = self.window.get(self.sent) {
            self.sent += 1;
            let waited = now
                .saturating_sub(*since)
                .as_millis()
                .try_into()
                .unwrap_or(u64::MAX);
            let mut event = event.clone();
            event.age_ms = event.age_ms.saturating_add(waited);
            return Some(Body::Event(event));
        }
        if let Some((_, report)) = self.health.pop_first() {
            return Some(Body::Health(report));
        }
        let name = self.drift_unsent.pop_first()?;
        self.drift.get(&name).cloned().map(Body::Drift)
    }
}

// === impl Queue ===

impl Queue {
    /// Answers are few: as many as the controller asks. Beyond the bound the oldest goes, and its question times out.
    pub(super) fn answer(&mut self, body: Body) {
        if self.answers.len() >= QUEUE {
            self.answers.pop_front();
        }
        self.answers.push_back(body);
    }

    pub(super) fn progress(&mut self, mut progress: Progress) {
        if self.lossy.len() >= QUEUE {
            self.dropped_progress += 1 + progress.dropped;
            return;
        }
        progress.dropped += std::mem::take(&mut self.dropped_progress);
        self.lossy.push_back(Body::Progress(progress));
    }

    pub(super) fn output(&mut self, mut output: JobOutput) {
        if self.lossy.len() >= QUEUE {
            self.dropped_bytes += output.data.len() as u64 + output.dropped_bytes;
            return;
        }
        output.dropped_bytes += std::mem::take(&mut self.dropped_bytes);
        self.lossy.push_back(Body::JobOutput(output));
    }

    pub(super) fn answers(&mut self) -> Option<Body> {
        self.answers.pop_front()
    }

    pub(super) fn lossy(&mut self) -> Option<Body> {
        self.lossy.pop_front()
    }
}

#[cfg(test)]
mod event_tests {
    use std::time::Duration;

    use foundry_proto::agent::v1::Event;

    use super::Outbox;

    #[test]
    fn an_event_that_comes_while_the_ledger_is_asked_is_not_forgotten() {
        let event = |number| Event {
            number,
            ..Event::default()
        };
        let mut outbox = Outbox::default();
        let (after, limit) = outbox.wants_events().unwrap();
        assert_eq!(after, 0);
        // The ledger was read, then the event happened, then the answer came.
        outbox.event(Duration::ZERO, event(4));
        outbox.refill(Duration::ZERO, vec![event(1), event(2), event(3)], limit);
        let (after, limit) = outbox.wants_events().unwrap();
        assert_eq!(after, 3);
        outbox.refill(Duration::ZERO, vec![event(4)], limit);
        assert_eq!(outbox.wants_events(), None);
        outbox.event(Duration::ZERO, event(5));
        assert_eq!(outbox.window.len(), 5);
    }
}
