//! How errors look.
//!
//! ```text
//! error: cannot start the controller
//!   cause: fleet `demo-1a2b3c` is held by process 4711
//!   hint: end it with `foundry controller stop`
//! ```

use super::json::error::ErrorDocument;
use super::{Page, Tone, snippet};
use crate::cli::CliError;

/// For people.
pub(super) fn draw(error: &CliError, page: &mut Page) {
    for place in &error.places {
        snippet::draw(place, page);
    }
    page.words(&[("error:", Tone::Bad), (&error.to_string(), Tone::Strong)]);
    for cause in error.causes() {
        more(page, "cause:", Tone::Bad, &cause);
    }
    for hint in &error.hints {
        more(page, "hint:", Tone::Good, hint);
    }
}

/// For programs.
pub(super) fn document(error: &CliError) -> ErrorDocument {
    ErrorDocument::of(error)
}

/// A line of its own, with what follows a line break below it.
fn more(page: &mut Page, label: &str, tone: Tone, text: &str) {
    let mut lines = text.lines();
    let label = format!("  {label}");
    page.words(&[
        (&label, tone),
        (lines.next().unwrap_or_default(), Tone::Plain),
    ]);
    for line in lines {
        page.indented(4, line, Tone::Dim);
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::draw;
    use crate::cli::CliError;
    use crate::output::Page;

    #[test]
    fn what_then_causes_then_hints() {
        let error = CliError::because("cannot reach node1", io::Error::other("connection refused"))
            .hint("is it on?");
        let mut page = Page::new(false, 80);
        draw(&error, &mut page);
        insta::assert_snapshot!(page.into_text(), @r"
        error: cannot reach node1
          cause: connection refused
          hint: is it on?
        ");
    }

    #[test]
    fn a_cause_of_several_lines_keeps_them_and_cannot_draw() {
        let error = CliError::because("it died", io::Error::other("log:\nline \u{1b}[2J"));
        let mut page = Page::new(false, 80);
        draw(&error, &mut page);
        insta::assert_snapshot!(page.into_text(), @r"
        error: it died
          cause: log:
            line \u{1b}[2J
        ");
    }
}
