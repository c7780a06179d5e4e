//! What is known of one host: a fold over what it says.
//!
//! Times are in milliseconds since 1970 by the controller's clock: an age that comes over the wire is taken off the time
//! of its arrival.

use std::collections::{BTreeMap, HashMap};

use foundry_proto::agent::v1::{
    DriftReport, Event, Health, HealthReport, Hello, Holding, Outcome, Phase, event,
};
use foundry_proto::{AssignmentName, Digest};

use crate::store::{HoldingRecord, HostRow, Wanted};

/// What a host was told to have under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    /// The newest revision.
    pub(crate) revision: u64,
    /// Of its content.
    pub(crate) digest: Digest,
    /// It is to be taken away.
    pub(crate) removed: bool,
}

/// How a revision ended, as this process saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ending {
    /// Which.
    pub(crate) revision: u64,
    /// How.
    pub(crate) phase: Phase,
    /// Why, where it is a failure.
    pub(crate) message: String,
    /// What a removal left behind on purpose.
    pub(crate) kept: Vec<String>,
}

/// What is known of one host.
#[derive(Debug, Clone, Default)]
pub(crate) struct HostView {
    /// What is stored of it.
    pub(crate) row: HostRow,
    /// Its last sign of life, at most a second behind while it has a session; 0: never seen.
    pub(crate) seen_ms: u64,
    /// Since when it has a session.
    pub(crate) connected_ms: Option<u64>,
    /// When its last session ended, as this process saw it.
    pub(crate) gone_ms: Option<u64>,
    /// What it should have.
    pub(crate) orders: BTreeMap<AssignmentName, Order>,
    /// What it says that it has.
    pub(crate) holdings: BTreeMap<AssignmentName, HoldingRecord>,
    /// How its newest revisions ended.
    pub(crate) endings: HashMap<AssignmentName, Ending>,
    /// Revisions under way that changed something.
    pub(crate) changed: HashMap<AssignmentName, u64>,
}

// === impl HostView ===

impl HostView {
    /// It was told to have this.
    pub(crate) fn order(&mut self, wanted: &Wanted) {
        if wanted.forgotten {
            self.orders.remove(&wanted.name);
            return;
        }
        let order = Order {
            revision: wanted.revision,
            digest: wanted.digest,
            removed: wanted.removed,
        };
        self.orders.insert(wanted.name.clone(), order);
    }

    /// A session opened.
    pub(crate) fn hello(&mut self, hello: &Hello, now_ms: u64) -> Greeting {
        let same_ledger = self.row.ledger_id == hello.ledger_id;
        let before = self.row.clone();
        self.row.facts = hello.facts.clone().or(self.row.facts.take());
        self.row.agent_version.clone_from(&hello.version);
        self.row.agent_digest.clone_from(&hello.agent_digest);
        self.row.ledger_id.clone_from(&hello.ledger_id);
        self.seen_ms = now_ms;
        self.connected_ms = Some(now_ms);

        let mut touched = Vec::new();
        let mut told = BTreeMap::new();
        for holding in &hello.holdings {
            if let Ok(name) = holding.assignment.parse::<AssignmentName>() {
                told.insert(name, record(holding, now_ms));
            }
        }
        // Events of this session may have come before the hello is looked at here: then they know better.
        let newer =
            |known: &HoldingRecord, told: &HoldingRecord| same_ledger && rank(known) > rank(told);
        for (name, told) in &told {
            let known = self.holdings.get(name);
            if known.is_some_and(|known| newer(known, told) || alike(known, told)) {
                continue;
            }
            let mut told = told.clone();
            if let Some(known) = known.filter(|_| told.healthy.is_none()) {
                told.drift.clone_from(&known.drift);
            }
            self.holdings.insert(name.clone(), told);
            touched.push(name.clone());
        }
        let lost: Vec<_> = self
            .holdings
            .keys()
            .filter(|name| !told.contains_key(*name))
            .cloned()
            .collect();
        for name in lost {
            self.holdings.remove(&name);
            touched.push(name);
        }
        Greeting {
            touched,
            row_changed: !same_host(&before, &self.row),
        }
    }

    /// It gave a sign of life at that time.
    pub(crate) fn heard(&mut self, at_ms: u64) {
        self.seen_ms = self.seen_ms.max(at_ms);
    }

    /// Its session ended, which is no sign of life: it may have been silent for long.
    pub(crate) fn gone(&mut self, now_ms: u64) {
        self.connected_ms = None;
        self.gone_ms = Some(now_ms);
    }

    /// It said that something happened. The name whose holding changed.
    pub(crate) fn event(&mut self, event: &Event, now_ms: u64) -> Option<AssignmentName> {
        let at_ms = now_ms.saturating_sub(event.age_ms);
        let name: AssignmentName = event.assignment.parse().ok()?;
        let revision = event.revision;
        match event.body.as_ref()? {
            event::Body::Accepted(_) => {
                let digest = self.digest_of(&name, revision);
                let holding = self.holdings.entry(name.clone()).or_default();
                if holding.accepted > revision {
                    return None;
                }
                holding.accepted = revision;
                holding.accepted_ms = at_ms;
                if holding.revision < revision {
                    holding.revision = revision;
                    holding.digest = digest.map(Digest::to_bytes).unwrap_or_default();
                    holding.set_phase(Phase::Accepted);
                    holding.message.clear();
                }
            }
            event::Body::Rejected(rejected) => {
                let ending = Ending {
                    revision,
                    phase: Phase::Failed,
                    message: format!("the agent did not accept it: {}", rejected.reason),
                    kept: Vec::new(),
                };
                self.end(name, ending);
                return None;
            }
            event::Body::Task(task) => {
                if task.changed {
                    self.changed.insert(name.clone(), revision);
                }
                let holding = self.holdings.get_mut(&name)?;
                if holding.revision != revision || holding.phase() != Phase::Accepted {
                    return None;
                }
                holding.set_phase(Phase::Applying);
            }
            event::Body::Outcome(outcome) => self.outcome(&name, revision, outcome, at_ms),
            event::Body::Job(_) | event::Body::Lost(_) => return None,
        }
        Some(name)
    }

    fn outcome(&mut self, name: &AssignmentName, revision: u64, outcome: &Outcome, at_ms: u64) {
        let phase = outcome.phase();
        let digest = self.digest_of(name, revision);
        let holding = self.holdings.entry(name.clone()).or_default();
        if holding.revision <= revision {
            if holding.revision < revision {
                holding.revision = revision;
                holding.digest = digest.map(Digest::to_bytes).unwrap_or_default();
            }
            holding.set_phase(phase);
            holding.message.clone_from(&outcome.message);
        }
        if phase == Phase::Achieved && holding.achieved <= revision {
            holding.achieved = revision;
            holding.achieved_ms = at_ms;
            holding.drift.clear();
        }
        if phase == Phase::Removed && holding.revision == revision {
            holding.healthy = None;
            holding.drift.clear();
        }
        let ending = Ending {
            revision,
            phase,
            message: outcome.message.clone(),
            kept: outcome.kept.clone(),
        };
        self.end(name.clone(), ending);
    }

    /// What its probes say now. Whether they say something else than before.
    pub(crate) fn health(&mut self, report: &HealthReport, now_ms: u64) -> Option<HealthTurn> {
        let name: AssignmentName = report.assignment.parse().ok()?;
        let health = report.health.as_ref()?;
        let holding = self.holdings.get_mut(&name)?;
        let turned = holding.healthy != Some(health.healthy);
        holding.health_revision = report.revision;
        set_health(holding, health, now_ms);
        Some(HealthTurn { name, turned })
    }

    /// What was changed by hand. The name, where that is news.
    pub(crate) fn drift(&mut self, report: &DriftReport) -> Option<AssignmentName> {
        let name: AssignmentName = report.assignment.parse().ok()?;
        let holding = self.holdings.get_mut(&name)?;
        let tasks: Vec<_> = report.diffs.iter().map(|diff| diff.task.as_str()).collect();
        let drift = tasks.join(", ");
        let news = holding.drift != drift;
        holding.drift = drift;
        news.then_some(name)
    }

    fn end(&mut self, name: AssignmentName, ending: Ending) {
        let known = self.endings.get(&name);
        if known.is_none_or(|known| known.revision <= ending.revision) {
            self.endings.insert(name, ending);
        }
    }

    fn digest_of(&self, name: &AssignmentName, revision: u64) -> Option<Digest> {
        let order = self.orders.get(name)?;
        (order.revision == revision).then_some(order.digest)
    }
}

/// What a hello changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Greeting {
    /// The names whose holdings are other ones.
    pub(crate) touched: Vec<AssignmentName>,
    /// The host, or its agent, is not as it was.
    pub(crate) row_changed: bool,
}

/// What a health report changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HealthTurn {
    /// Whose.
    pub(crate) name: AssignmentName,
    /// It became healthy, or ceased to be.
    pub(crate) turned: bool,
}

/// Whether two rows say the same of host and agent, but for what changes all the time.
fn same_host(before: &HostRow, now: &HostRow) -> bool {
    let lasting = |row: &HostRow| {
        let mut row = row.clone();
        if let Some(facts) = &mut row.facts {
            facts.clock_ms = 0;
            facts.disks.clear();
        }
        row
    };
    lasting(before) == lasting(now)
}

/// Of two records under one name and ledger, the one with the higher rank is the newer.
fn rank(holding: &HoldingRecord) -> (u64, u8) {
    let step = match holding.phase() {
        Phase::Unspecified => 0,
        Phase::Accepted => 1,
        Phase::Applying | Phase::Removing => 2,
        Phase::Achieved
        | Phase::Failed
        | Phase::Superseded
        | Phase::Cancelled
        | Phase::Unknown
        | Phase::Removed => 3,
    };
    (holding.revision, step)
}

/// Whether two records say the same but for their times.
fn alike(known: &HoldingRecord, told: &HoldingRecord) -> bool {
    let facts = |h: &HoldingRecord| (h.revision, h.phase, h.accepted, h.achieved, h.healthy);
    facts(known) == facts(told) && known.digest == told.digest
}

fn set_health(holding: &mut HoldingRecord, health: &Health, now_ms: u64) {
    holding.healthy = Some(health.healthy);
    holding.healthy_ms = now_ms.saturating_sub(health.age_ms);
    holding.health_message.clone_from(&health.message);
}

fn record(holding: &Holding, now_ms: u64) -> HoldingRecord {
    let at = |age: Option<u64>| age.map_or(0, |age| now_ms.saturating_sub(age));
    let mut record = HoldingRecord {
        revision: holding.revision,
        digest: holding.digest.clone(),
        phase: holding.phase,
        accepted: holding.accepted_age_ms.map_or(0, |_| holding.revision),
        accepted_ms: at(holding.accepted_age_ms),
        achieved: holding.achieved_revision.unwrap_or_default(),
        achieved_ms: at(holding.achieved_age_ms),
        message: holding.message.clone(),
        ..HoldingRecord::default()
    };
    if let Some(health) = &holding.health {
        record.health_revision = record.achieved;
        set_health(&mut record, health, now_ms);
    }
    record
}

#[cfg(test)]
mod tests {
    use foundry_proto::agent::v1::{Accepted, Event, Hello, Holding, Outcome, Phase, event::Body};

    use super::HostView;

    fn event(revision: u64, body: Body) -> Event {
        Event {
            assignment: "k3s".to_owned(),
            revision,
            body: Some(body),
            ..Event::default()
        }
    }

    fn outcome(phase: Phase) -> Body {
        Body::Outcome(Outcome {
            phase: phase.into(),
            ..Outcome::default()
        })
    }

    fn hello(revision: u64, phase: Phase) -> Hello {
        let holding = Holding {
            assignment: "k3s".to_owned(),
            revision,
            phase: phase.into(),
            accepted_age_ms: Some(5),
            ..Holding::default()
        };
        Hello {
            ledger_id: "l".to_owned(),
            holdings: vec![holding],
            ..Hello::default()
        }
    }

    fn phase(view: &HostView) -> Option<(u64, Phase)> {
        let holding = view.holdings.get(&"k3s".parse().unwrap())?;
        Some((holding.revision, holding.phase()))
    }

    #[test]
    fn accepted_and_achieved_are_two_facts() {
        let mut view = HostView::default();
        view.event(&event(1, Body::Accepted(Accepted {})), 1000);
        assert_eq!(phase(&view), Some((1, Phase::Accepted)));
        view.event(&event(1, outcome(Phase::Achieved)), 2000);
        view.event(&event(2, Body::Accepted(Accepted {})), 3000);
        let holding = &view.holdings[&"k3s".parse().unwrap()];
        assert_eq!((holding.accepted, holding.accepted_ms), (2, 3000));
        assert_eq!((holding.achieved, holding.achieved_ms), (1, 2000));
        assert_eq!(holding.phase(), Phase::Accepted);
    }

    #[test]
    fn an_older_outcome_changes_nothing_of_a_newer_revision() {
        let mut view = HostView::default();
        view.event(&event(2, Body::Accepted(Accepted {})), 1000);
        view.event(&event(1, outcome(Phase::Superseded)), 2000);
        assert_eq!(phase(&view), Some((2, Phase::Accepted)));
    }

    #[test]
    fn a_hello_does_not_undo_the_events_after_it() {
        let mut view = HostView::default();
        view.hello(&hello(1, Phase::Applying), 1000);
        view.event(&event(1, outcome(Phase::Achieved)), 2000);
        view.hello(&hello(1, Phase::Applying), 1000);
        assert_eq!(phase(&view), Some((1, Phase::Achieved)));
    }

    #[test]
    fn the_end_of_a_session_is_no_sign_of_life() {
        let mut view = HostView::default();
        view.hello(&hello(1, Phase::Achieved), 1000);
        view.heard(3000);
        view.heard(2000);
        view.gone(18_000);
        assert_eq!((view.seen_ms, view.gone_ms), (3000, Some(18_000)));
    }

    #[test]
    fn a_lost_ledger_is_believed() {
        let mut view = HostView::default();
        view.hello(&hello(4, Phase::Achieved), 1000);
        let empty = Hello {
            ledger_id: "another".to_owned(),
            ..Hello::default()
        };
        assert_eq!(view.hello(&empty, 2000).touched, ["k3s".parse().unwrap()]);
        assert_eq!(phase(&view), None);
    }

    #[test]
    fn of_what_was_removed_only_the_revision_is_kept() {
        let mut view = HostView::default();
        view.hello(&hello(1, Phase::Achieved), 1000);
        view.event(&event(2, Body::Accepted(Accepted {})), 1500);
        view.event(&event(2, outcome(Phase::Removed)), 2000);
        assert_eq!(phase(&view), Some((2, Phase::Removed)));
        assert_eq!(view.endings[&"k3s".parse().unwrap()].phase, Phase::Removed);
    }
}
