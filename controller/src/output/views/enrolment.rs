//! How bringing the agent to hosts went.

use super::super::json::enrolment::EnrolmentsDocument;
use super::{brief, plain};
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
                brief(host.cause.as_ref()),
            ]
        });
        page.table(&["HOST", "OUTCOME", "TIME", "CAUSE"], rows.collect());
    }
}
