//! The state of a fleet: a line per host, a line per assignment, every value with its age.

use super::super::json::status::{AssignmentDocument, HostDocument, StatusDocument};
use super::{Cell, brief, plain};
use crate::output::{Document, Page, Tone, time};

impl Document for StatusDocument {
    fn draw(&self, page: &mut Page) {
        page.words(&[
            ("overall:", Tone::Plain),
            (self.overall, host_tone(self.overall)),
        ]);
        page.gap();
        let mut rows = Vec::new();
        for host in &self.hosts {
            rows.push(host.row());
            let silent = matches!(host.state, "stale" | "unreachable");
            rows.extend(host.assignments.iter().map(|a| a.row(silent)));
        }
        if !rows.is_empty() {
            page.table(&["HOST", "STATE", "AGE", "REVISION", "MESSAGE"], rows);
        }
        if self.components.is_empty() {
            return;
        }
        page.gap();
        let rows = self.components.iter().map(|component| {
            let state = if component.installed {
                "installed"
            } else {
                "not installed"
            };
            vec![
                plain(component.name.clone()),
                plain(
                    component
                        .version
                        .clone()
                        .unwrap_or_else(|| state.to_owned()),
                ),
                healthy(component.healthy),
                brief(component.message.as_ref()),
            ]
        });
        page.table(
            &["COMPONENT", "VERSION", "HEALTH", "MESSAGE"],
            rows.collect(),
        );
    }
}

// === impl HostDocument ===

impl HostDocument {
    fn row(&self) -> Vec<Cell> {
        vec![
            (self.name.clone(), Tone::Strong),
            (words(self.state), host_tone(self.state)),
            plain(self.age_ms.map(time::age).unwrap_or_default()),
            plain(""),
            brief(self.message.as_ref().or(Some(&self.address))),
        ]
    }
}

// === impl AssignmentDocument ===

impl AssignmentDocument {
    /// What a host said that is silent now is told as the past that it is, and never in green.
    fn row(&self, silent: bool) -> Vec<Cell> {
        let state = match self.in_a_word() {
            (state, _) if silent && self.when_last_heard().is_none() => {
                (format!("was {state}"), Tone::Dim)
            }
            (state, tone) => (state.to_owned(), tone),
        };
        vec![
            plain(format!("  {}", self.name)),
            state,
            plain(self.age().map(time::age).unwrap_or_default()),
            plain(self.revisions()),
            match self.when_last_heard() {
                Some((_, why)) => brief(Some(&why.to_owned())),
                None => brief(self.message.as_ref()),
            },
        ]
    }

    /// What the probes said last of all, and why, where the host is silent now.
    fn when_last_heard(&self) -> Option<(&'static str, &str)> {
        if self.state != "achieved" || self.healthy.is_some() {
            return None;
        }
        let message = self.message.as_deref()?;
        ["was healthy", "was unhealthy"].iter().find_map(|was| {
            let why = message
                .strip_prefix(was)?
                .strip_prefix(" when last heard")?;
            Some((*was, why.strip_prefix(": ").unwrap_or(why)))
        })
    }

    /// The state, or what the probes say where the state is as it should be.
    pub(super) fn in_a_word(&self) -> (&str, Tone) {
        if let Some((was, _)) = self.when_last_heard() {
            return (was, Tone::Dim);
        }
        match (self.state.as_str(), self.healthy) {
            ("achieved", Some(true)) => ("healthy", Tone::Good),
            ("achieved", Some(false)) => ("unhealthy", Tone::Bad),
            ("achieved", None) => ("achieved", Tone::Good),
            ("failed", _) => ("failed", Tone::Bad),
            (state, _) => (state, Tone::Warn),
        }
    }

    /// Of the fact that [`Self::in_a_word`] states.
    pub(super) fn age(&self) -> Option<u64> {
        match (self.state.as_str(), self.healthy) {
            ("achieved", Some(_)) => self.healthy_age_ms,
            ("achieved", None) if self.when_last_heard().is_some() => self.healthy_age_ms,
            ("achieved", None) => self.achieved_age_ms,
            _ => self.accepted_age_ms,
        }
    }

    /// `3`, or `3 (has 2)` where the host has an older one.
    pub(super) fn revisions(&self) -> String {
        match self.achieved {
            Some(achieved) if achieved == self.revision => self.revision.to_string(),
            Some(achieved) => format!("{} (has {achieved})", self.revision),
            None => format!("{} (has none)", self.revision),
        }
    }
}

pub(super) fn words(state: &str) -> String {
    state.replace('_', " ")
}

pub(super) fn host_tone(state: &str) -> Tone {
    match state {
        "healthy" => Tone::Good,
        "degraded" | "unreachable" => Tone::Bad,
        "stale" => Tone::Warn,
        _ => Tone::Dim,
    }
}

fn healthy(healthy: Option<bool>) -> Cell {
    match healthy {
        Some(true) => ("healthy".to_owned(), Tone::Good),
        Some(false) => ("unhealthy".to_owned(), Tone::Bad),
        None => ("unknown".to_owned(), Tone::Dim),
    }
}

#[cfg(test)]
mod tests {
    use crate::output::json::status::tests::sample;
    use crate::output::{Document as _, Page, Tone};

    #[test]
    fn a_status_fits_eighty_columns() {
        let mut page = Page::new(false, 80);
        sample().draw(&mut page);
        let text = page.into_text();
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        insta::assert_snapshot!(text);
    }

    #[test]
    fn what_was_healthy_when_last_heard_is_told_as_past() {
        let assignment = |message: &str| {
            let mut assignment = sample().hosts.remove(0).assignments.remove(0);
            assignment.healthy = None;
            assignment.message = Some(message.to_owned());
            assignment
        };
        let said = |message: &str| {
            let row = assignment(message).row(true);
            (row[1].clone(), row[2].0.clone(), row[4].0.clone())
        };
        let (state, age, why) = said("was healthy when last heard");
        assert_eq!(state, ("was healthy".to_owned(), Tone::Dim));
        assert_eq!((age.as_str(), why.as_str()), ("12 s", "-"));
        let (state, _, why) = said("was unhealthy when last heard: 503");
        assert_eq!((state.0.as_str(), why.as_str()), ("was unhealthy", "503"));
        assert_eq!(said("changed by hand: unit").0.0, "was achieved");
    }
}
