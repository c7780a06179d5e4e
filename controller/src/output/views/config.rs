//! What is said about stack.yaml.

use super::super::json::config::{ValidDocument, WrittenDocument};
use super::{maybe, plain};
use crate::output::{Document, Page, Tone};

impl Document for ValidDocument {
    fn draw(&self, page: &mut Page) {
        for warning in &self.warnings {
            page.words(&[("warning:", Tone::Warn), (warning, Tone::Plain)]);
        }
        if !self.checks.is_empty() {
            let rows = self.checks.iter().map(|check| {
                let (word, tone) = if check.ok {
                    ("ok", Tone::Good)
                } else {
                    ("failed", Tone::Bad)
                };
                vec![
                    plain(check.name.clone()),
                    maybe(check.host.as_ref()),
                    (word.to_owned(), tone),
                    plain(check.message.clone()),
                ]
            });
            page.table(&["CHECK", "HOST", "RESULT", "FOUND"], rows.collect());
            for hint in self.checks.iter().flat_map(|check| &check.hints) {
                page.indented(2, &format!("hint: {hint}"), Tone::Good);
            }
            page.gap();
        }
        let (word, tone) = if self.valid {
            ("valid", Tone::Good)
        } else {
            ("not ready", Tone::Bad)
        };
        page.words(&[(&self.file, Tone::Strong), (word, tone)]);
    }
}

impl Document for WrittenDocument {
    fn draw(&self, page: &mut Page) {
        page.line(&self.message);
    }
}
