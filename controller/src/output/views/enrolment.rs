//! How bringing the agent to hosts went.

use super::super::json::enrolment::EnrolmentsDocument;
use super::plain;
use crate::output::{Document, Page, Tone, time};

impl Document for EnrolmentsDocument {
    fn draw(&self, page: &mut Page) {
        let rows = self.hosts.iter().map(|host| {
            let tone = if host.outcome == "failed" {
                Tone::Bad
            } else {
                Tone::Good
            };
            vec![
                (host.name.clone(), Tone::Strong),
                (host.outcome.to_owned(), tone),
                plain(time::duration(host.duration_ms)),
                plain(host.cause.clone().unwrap_or_default()),
            ]
        });
        page.table(&["HOST", "OUTCOME", "TIME", "CAUSE"], rows.collect());
    }
}
