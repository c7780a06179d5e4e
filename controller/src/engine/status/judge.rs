//! What the facts amount to. Pure.

use std::time::Duration;

use foundry_proto::AssignmentName;
use foundry_proto::agent::v1::Phase;
use foundry_proto::operator::v1::{AssignmentStatus, HostState, HostStatus, Overall, StatusReport};

use super::super::error::date;
use super::super::listener::BACK_WITHIN;
use super::super::telling::phase_word;
use super::super::view::{HostView, Order};
use crate::hub::SessionInfo;
use crate::store::HoldingRecord;

/// An agent that is alive is back within this time after its connection broke.
const RECONNECTS_WITHIN: Duration = Duration::from_secs(5);
/// A part of an agent that is at one piece of work for so long is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(20 * 60);
/// A session that was not heard for so long is about to end.
const QUIET_AFTER: Duration = Duration::from_secs(10);

/// What is known of the way to a host.
pub(super) struct Contact<'a> {
    pub(super) session: Option<&'a SessionInfo>,
    /// For how long hosts could have come; `None`: they cannot.
    pub(super) listens_for: Option<Duration>,
    pub(super) now_ms: u64,
}

// === impl Contact ===

impl Contact<'_> {
    /// How long ago the host was last heard; `None`: never.
    pub(super) fn age_ms(&self, host: &HostView) -> Option<u64> {
        match self.session {
            Some(session) => Some(millis(session.seen)),
            None => (host.seen_ms > 0).then(|| self.now_ms.saturating_sub(host.seen_ms)),
        }
    }
}

/// The state of a host, with its reason where it is not healthy.
pub(super) fn host(
    host: &HostView,
    contact: &Contact<'_>,
    assignments: &[AssignmentStatus],
) -> (HostState, String) {
    let Some(session) = contact.session else {
        return silent(host, contact);
    };
    if session.seen > QUIET_AFTER {
        return (
            HostState::Stale,
            format!("silent for {} s", session.seen.as_secs()),
        );
    }
    let stuck = session
        .subsystems
        .iter()
        .find(|part| part.busy_ms > millis(STUCK_AFTER));
    if let Some(part) = stuck {
        let minutes = part.busy_ms / 60_000;
        let text = format!(
            "the agent's {} has been at one thing for {minutes} min",
            part.name
        );
        return (HostState::Degraded, text);
    }
    let bad = assignments.iter().find(|assignment| is_bad(assignment));
    if let Some(bad) = bad {
        let why = match bad.message.as_str() {
            "" => format!("{} is {}", bad.name, word(bad)),
            message => format!("{}: {message}", bad.name),
        };
        return (HostState::Degraded, why);
    }
    match assignments.iter().find(|assignment| lacks_word(assignment)) {
        Some(silent) => (
            HostState::Unknown,
            format!("{} has not said how it is", silent.name),
        ),
        None => (HostState::Healthy, String::new()),
    }
}

fn silent(host: &HostView, contact: &Contact<'_>) -> (HostState, String) {
    if host.seen_ms == 0 {
        return (HostState::Unknown, "its agent never connected".to_owned());
    }
    let Some(listens_for) = contact.listens_for else {
        return (
            HostState::Unknown,
            "this controller cannot listen for agents".to_owned(),
        );
    };
    let gone_for = host
        .gone_ms
        .map(|gone_ms| contact.now_ms.saturating_sub(gone_ms));
    let had_time = match gone_for {
        Some(gone_for) => gone_for >= millis(RECONNECTS_WITHIN),
        None => listens_for >= BACK_WITHIN,
    };
    if had_time {
        (
            HostState::Unreachable,
            format!("unreachable since {}", date(host.seen_ms)),
        )
    } else {
        (
            HostState::Stale,
            "not connected, and may be on its way".to_owned(),
        )
    }
}

/// The whole is as well as its worst part.
pub(super) fn overall(hosts: &[HostStatus]) -> Overall {
    let any = |states: &[HostState]| hosts.iter().any(|host| states.contains(&host.state()));
    if any(&[
        HostState::Degraded,
        HostState::Unreachable,
        HostState::NotEnrolled,
    ]) {
        Overall::Degraded
    } else if hosts.is_empty() || !hosts.iter().all(|host| host.state() == HostState::Healthy) {
        Overall::Unknown
    } else {
        Overall::Healthy
    }
}

/// Every assignment that a host has or should have.
pub(super) fn assignments(host: &HostView, now_ms: u64) -> Vec<AssignmentStatus> {
    let there = host
        .holdings
        .iter()
        .filter(|(_, held)| held.phase() != Phase::Removed);
    let mut names: Vec<_> = host
        .orders
        .keys()
        .chain(there.map(|(name, _)| name))
        .collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .map(|name| assignment(host, name, now_ms))
        .collect()
}

/// What a host that is silent now said last: how it is now is not known, and what it did stays true.
pub(super) fn last_heard(assignments: &mut [AssignmentStatus]) {
    for assignment in assignments {
        let was = match assignment.healthy.take() {
            Some(true) => "was healthy when last heard",
            Some(false) => "was unhealthy when last heard",
            None => continue,
        };
        if assignment.message.is_empty() {
            was.clone_into(&mut assignment.message);
        } else if assignment.state == phase_word(Phase::Achieved) {
            assignment.message = format!("{was}: {}", assignment.message);
        }
    }
}

/// One that nobody has told the host of yet.
pub(super) fn pending(name: &AssignmentName) -> AssignmentStatus {
    AssignmentStatus {
        name: name.to_string(),
        state: phase_word(Phase::Accepted).to_owned(),
        ..AssignmentStatus::default()
    }
}

fn assignment(host: &HostView, name: &AssignmentName, now_ms: u64) -> AssignmentStatus {
    let order = host.orders.get(name);
    let held = host.holdings.get(name).cloned().unwrap_or_default();
    let age = |at_ms: u64| (at_ms > 0).then(|| now_ms.saturating_sub(at_ms));
    let (state, message) = state(host, name, order, &held);
    let message = match message {
        "" if held.healthy == Some(false) => held.health_message.clone(),
        "" if !held.drift.is_empty() => format!("changed by hand: {}", held.drift),
        message => message.to_owned(),
    };
    AssignmentStatus {
        name: name.to_string(),
        state: state.to_owned(),
        revision: order.map_or(held.revision, |order| order.revision.max(held.revision)),
        accepted: (held.accepted > 0).then_some(held.accepted),
        accepted_age_ms: age(held.accepted_ms),
        achieved: (held.achieved > 0).then_some(held.achieved),
        achieved_age_ms: age(held.achieved_ms),
        healthy: held.healthy,
        healthy_age_ms: age(held.healthy_ms),
        message,
    }
}

/// The state's word, and why it is so.
fn state<'a>(
    host: &'a HostView,
    name: &AssignmentName,
    order: Option<&Order>,
    held: &'a HoldingRecord,
) -> (&'static str, &'a str) {
    let Some(order) = order.filter(|order| order.revision > held.revision) else {
        let removing = order.is_some_and(|order| order.removed)
            && matches!(held.phase(), Phase::Accepted | Phase::Applying);
        let phase = if removing {
            Phase::Removing
        } else {
            held.phase()
        };
        return (phase_word(phase), &held.message);
    };
    let refused = host
        .endings
        .get(name)
        .filter(|ending| ending.revision == order.revision);
    match refused {
        Some(ending) => (phase_word(ending.phase), &ending.message),
        None if order.removed => (phase_word(Phase::Removing), ""),
        None => (phase_word(Phase::Accepted), ""),
    }
}

/// Not as it should be, by its state, its probes or somebody's hand.
fn is_bad(assignment: &AssignmentStatus) -> bool {
    assignment.state != phase_word(Phase::Achieved)
        || assignment.healthy == Some(false)
        || !assignment.message.is_empty()
}

/// A service always has something to say: none heard is not yet good.
fn lacks_word(assignment: &AssignmentStatus) -> bool {
    assignment.name.starts_with("service/") && assignment.healthy.is_none()
}

fn word(assignment: &AssignmentStatus) -> &str {
    match (assignment.state.as_str(), assignment.healthy) {
        ("achieved", Some(false)) => "unhealthy",
        (state, _) => state,
    }
}

/// The same report with nothing in it that changes only because time goes by.
pub(super) fn without_ages(mut report: StatusReport) -> StatusReport {
    for host in &mut report.hosts {
        host.age_ms = None;
        if host.state() == HostState::Stale {
            host.message.clear();
        }
        for assignment in &mut host.assignments {
            assignment.accepted_age_ms = None;
            assignment.achieved_age_ms = None;
            assignment.healthy_age_ms = None;
        }
    }
    report
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use foundry_proto::agent::v1::{Hello, Phase};
    use foundry_proto::operator::v1::{HostState, HostStatus, Overall};
    use foundry_proto::{Digest, HostId};

    use super::{Contact, assignments, host, last_heard, overall};
    use crate::engine::view::{HostView, Order};
    use crate::hub::SessionInfo;
    use crate::store::HoldingRecord;

    const NOW: u64 = 1_700_000_000_000;

    fn session() -> SessionInfo {
        SessionInfo {
            host: HostId::generate(),
            hello: Arc::new(Hello::default()),
            key: Digest::of(b"key"),
            address: None,
            age: Duration::from_secs(60),
            seen: Duration::from_secs(1),
            subsystems: Vec::new(),
            memory_bytes: 0,
        }
    }

    fn view(phase: Phase, healthy: Option<bool>) -> HostView {
        let holding = HoldingRecord {
            revision: 1,
            phase: phase.into(),
            accepted: 1,
            accepted_ms: NOW - 5000,
            healthy,
            ..HoldingRecord::default()
        };
        let mut view = HostView {
            seen_ms: NOW - 5000,
            ..HostView::default()
        };
        view.holdings
            .insert("service/web".parse().unwrap(), holding);
        view
    }

    fn judged(view: &HostView, session: Option<&SessionInfo>, listens_s: Option<u64>) -> HostState {
        let listens_for = listens_s.map(Duration::from_secs);
        let contact = Contact {
            session,
            listens_for,
            now_ms: NOW,
        };
        host(view, &contact, &assignments(view, NOW)).0
    }

    #[test]
    fn nothing_is_green_that_did_not_say_so() {
        let session = session();
        let state = |phase, healthy| judged(&view(phase, healthy), Some(&session), Some(60));
        assert_eq!(state(Phase::Achieved, Some(true)), HostState::Healthy);
        assert_eq!(state(Phase::Achieved, None), HostState::Unknown);
        assert_eq!(state(Phase::Achieved, Some(false)), HostState::Degraded);
        assert_eq!(state(Phase::Applying, Some(true)), HostState::Degraded);
        assert_eq!(state(Phase::Failed, None), HostState::Degraded);
    }

    #[test]
    fn silence_is_judged_by_how_long_there_was_to_speak() {
        let mut view = view(Phase::Achieved, Some(true));
        assert_eq!(judged(&view, None, Some(1)), HostState::Stale);
        assert_eq!(judged(&view, None, Some(60)), HostState::Unreachable);
        assert_eq!(judged(&view, None, None), HostState::Unknown);
        view.gone_ms = Some(NOW - 1000);
        assert_eq!(judged(&view, None, Some(60)), HostState::Stale);
        view.gone_ms = Some(NOW - 6000);
        assert_eq!(judged(&view, None, Some(60)), HostState::Unreachable);
        view.seen_ms = 0;
        assert_eq!(judged(&view, None, Some(60)), HostState::Unknown);
    }

    #[test]
    fn how_a_silent_host_is_now_is_not_known() {
        let said = |phase, healthy, message: &str| {
            let mut view = view(phase, healthy);
            let holding = view.holdings.get_mut(&"service/web".parse().unwrap());
            message.clone_into(&mut holding.unwrap().health_message);
            let mut assignments = assignments(&view, NOW);
            last_heard(&mut assignments);
            let web = assignments.remove(0);
            assert_eq!((web.accepted, web.accepted_age_ms), (Some(1), Some(5000)));
            assert_eq!(web.healthy, None);
            web.message
        };
        let well = said(Phase::Achieved, Some(true), "");
        assert_eq!(well, "was healthy when last heard");
        let ill = said(Phase::Achieved, Some(false), "503");
        assert_eq!(ill, "was unhealthy when last heard: 503");
        assert_eq!(said(Phase::Failed, Some(false), "503"), "503");
        assert_eq!(said(Phase::Achieved, None, ""), "");
    }

    #[test]
    fn an_order_that_the_host_has_not_seen_is_pending() {
        let mut view = view(Phase::Achieved, Some(true));
        let order = Order {
            revision: 2,
            digest: Digest::of(b"new"),
            removed: false,
        };
        view.orders.insert("service/web".parse().unwrap(), order);
        let status = &assignments(&view, NOW)[0];
        assert_eq!((status.state.as_str(), status.revision), ("pending", 2));
        assert_eq!(
            (status.accepted, status.accepted_age_ms),
            (Some(1), Some(5000))
        );
    }

    #[test]
    fn the_whole_is_as_well_as_its_worst_part() {
        let of = |states: &[HostState]| {
            let host = |state: &HostState| HostStatus {
                state: (*state).into(),
                ..Default::default()
            };
            overall(&states.iter().map(host).collect::<Vec<_>>())
        };
        assert_eq!(of(&[HostState::Healthy]), Overall::Healthy);
        assert_eq!(
            of(&[HostState::Healthy, HostState::Stale]),
            Overall::Unknown
        );
        assert_eq!(
            of(&[HostState::Stale, HostState::Unreachable]),
            Overall::Degraded
        );
        assert_eq!(of(&[]), Overall::Unknown);
    }
}
