//! An event as one line.

use super::super::json::event::EventDocument;
use crate::output::{Page, Row, Tone, time};

impl Row for EventDocument {
    fn line(&self, page: &mut Page) {
        let place = [self.host.as_deref(), self.assignment.as_deref()];
        let place: Vec<_> = place.into_iter().flatten().collect();
        page.words(&[
            (&time::local(self.at_ms), Tone::Dim),
            (&place.join(" "), Tone::Strong),
            (&self.kind, tone(&self.kind)),
            (&self.text, Tone::Plain),
        ]);
    }
}

fn tone(kind: &str) -> Tone {
    match kind {
        "rejected" | "refused" | "disconnected" => Tone::Bad,
        "drift" | "removed" => Tone::Warn,
        _ => Tone::Plain,
    }
}

#[cfg(test)]
mod tests {
    use crate::output::json::event::tests::sample;
    use crate::output::{Page, Row as _};

    #[test]
    fn an_event_is_one_line() {
        let mut event = sample();
        event.text = "two\nlines".to_owned();
        let mut page = Page::new(false, 80);
        event.line(&mut page);
        let text = page.into_text();
        assert!(
            text.ends_with(" node1 service/whoami health two\\nlines\n"),
            "{text}"
        );
    }
}
