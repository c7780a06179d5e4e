//! A plan: what changes, host by host; then what stands in the way; then the count.

use super::super::json::plan::{ChangeDocument, PlanDocument};
use crate::output::{Document, Page, Tone};

impl Document for PlanDocument {
    fn draw(&self, page: &mut Page) {
        let mut host = None;
        for change in &self.changes {
            if host != Some(&change.host) {
                page.gap();
                let enrol = self.enrol.contains(&change.host);
                let remark = if enrol { "(to be enrolled)" } else { "" };
                page.words(&[(&change.host, Tone::Strong), (remark, Tone::Warn)]);
                host = Some(&change.host);
            }
            draw_change(change, page);
        }
        for host in self
            .enrol
            .iter()
            .filter(|host| !self.changes.iter().any(|c| c.host == **host))
        {
            page.words(&[(host, Tone::Strong), ("(to be enrolled)", Tone::Warn)]);
        }
        self.draw_remarks(page);
        page.gap();
        page.line(&self.count());
    }
}

// === impl PlanDocument ===

impl PlanDocument {
    fn draw_remarks(&self, page: &mut Page) {
        if !(self.orphans.is_empty() && self.unreachable.is_empty() && self.warnings.is_empty()) {
            page.gap();
        }
        for orphan in &self.orphans {
            let what = format!("{} on {}", orphan.assignment, orphan.host);
            page.words(&[
                ("orphaned:", Tone::Warn),
                (&what, Tone::Plain),
                ("(removed with --prune)", Tone::Dim),
            ]);
        }
        for host in &self.unreachable {
            let what = format!("{}: {}", host.host, host.reason);
            page.words(&[("unreachable:", Tone::Warn), (&what, Tone::Plain)]);
        }
        for warning in &self.warnings {
            page.words(&[("warning:", Tone::Warn), (warning, Tone::Plain)]);
        }
        if !self.problems.is_empty() {
            page.gap();
        }
        for problem in &self.problems {
            let place = [problem.host.as_str(), problem.assignment.as_str()];
            let place: Vec<_> = place.into_iter().filter(|part| !part.is_empty()).collect();
            let place = if place.is_empty() {
                String::new()
            } else {
                format!("{}:", place.join(" "))
            };
            page.words(&[
                ("problem:", Tone::Bad),
                (&place, Tone::Strong),
                (&problem.message, Tone::Plain),
            ]);
            if let Some(hint) = &problem.hint {
                page.indented(2, &format!("hint: {hint}"), Tone::Good);
            }
        }
    }

    /// One sentence with every number that is not zero.
    pub fn count(&self) -> String {
        let summary = &self.summary;
        let mut parts: Vec<String> = [
            (
                u32::try_from(self.enrol.len()).unwrap_or(u32::MAX),
                "to enrol",
            ),
            (summary.create, "to create"),
            (summary.update, "to update"),
            (summary.remove, "to remove"),
            (summary.unchanged, "unchanged"),
            (summary.orphaned, "orphaned"),
            (summary.unreachable, "unreachable"),
        ]
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{number} {what}"))
        .collect();
        if self.is_empty() {
            parts.insert(0, "nothing to change".to_owned());
        }
        parts.join(", ")
    }
}

fn draw_change(change: &ChangeDocument, page: &mut Page) {
    let (sign, tone) = match change.action {
        "create" => ("+", Tone::Good),
        "update" => ("~", Tone::Warn),
        "remove" => ("-", Tone::Bad),
        _ => ("!", Tone::Bad),
    };
    let name = format!("{} {}", change.assignment, change.task);
    let drift = if change.drift {
        "(changed by hand)"
    } else {
        ""
    };
    let known = change
        .known_after
        .as_ref()
        .map(|step| format!("(known after {step})"));
    page.words(&[
        (&format!("  {sign}"), tone),
        (&name, Tone::Plain),
        (drift, Tone::Warn),
        (known.as_deref().unwrap_or_default(), Tone::Dim),
    ]);
    page.indented(6, &change.diff, Tone::Dim);
}

#[cfg(test)]
mod tests {
    use crate::output::json::plan::tests::sample;
    use crate::output::{Document as _, Page};

    #[test]
    fn a_plan_reads_from_hosts_to_count() {
        let mut page = Page::new(false, 80);
        sample().draw(&mut page);
        insta::assert_snapshot!(page.into_text());
    }
}
