//! Hosts, and a host that was removed.

use super::super::json::host::{HostEntry, HostsDocument, RemovedDocument};
use super::{Cell, maybe, plain};
use crate::output::{Document, Page, Tone, time};

impl Document for HostsDocument {
    fn draw(&self, page: &mut Page) {
        if self.hosts.is_empty() {
            return page.line("no hosts");
        }
        let rows = self.hosts.iter().map(HostEntry::row).collect();
        page.table(
            &["HOST", "ADDRESS", "AGENT", "SEEN", "VERSION", "SYSTEM"],
            rows,
        );
        for host in self.hosts.iter().filter(|host| !host.in_file) {
            page.gap();
            page.words(&[
                (&host.name, Tone::Strong),
                (
                    "is enrolled but not in the file: write it there, or remove it with",
                    Tone::Warn,
                ),
                (&format!("`foundry host remove {}`", host.name), Tone::Plain),
            ]);
        }
    }
}

impl Document for RemovedDocument {
    fn draw(&self, page: &mut Page) {
        let what = if self.uninstalled {
            "is removed"
        } else {
            "is no longer in the fleet"
        };
        page.words(&[(&self.host, Tone::Strong), (what, Tone::Good)]);
        if let Some(message) = &self.message {
            page.indented(2, message, Tone::Warn);
        }
        if !self.kept.is_empty() {
            page.line("kept on the host:");
        }
        for kept in &self.kept {
            page.indented(2, kept, Tone::Plain);
        }
    }
}

// === impl HostEntry ===

impl HostEntry {
    fn row(&self) -> Vec<Cell> {
        let agent = match (self.enrolled, self.connected) {
            (false, _) => ("not enrolled", Tone::Dim),
            (true, true) => ("connected", Tone::Good),
            (true, false) => ("away", Tone::Warn),
        };
        let system = [self.os.as_deref(), self.architecture.as_deref()];
        let system: Vec<_> = system.into_iter().flatten().collect();
        vec![
            (self.name.clone(), Tone::Strong),
            maybe(self.address.as_ref()),
            (agent.0.to_owned(), agent.1),
            plain(
                self.seen_age_ms
                    .map(|age| format!("{} ago", time::age(age)))
                    .unwrap_or_default(),
            ),
            maybe(self.agent_version.as_ref()),
            plain(system.join(", ")),
        ]
    }
}

#[cfg(test)]
mod tests {
    use crate::output::json::host::tests::sample;
    use crate::output::{Document as _, Page};

    #[test]
    fn hosts_fit_eighty_columns() {
        let mut page = Page::new(false, 80);
        sample().draw(&mut page);
        let text = page.into_text();
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        insta::assert_snapshot!(text);
    }
}
