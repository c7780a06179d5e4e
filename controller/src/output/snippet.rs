//! A line of a file with a caret under what is wrong.
//!
//! ```text
//! stack.yaml:4:3: unknown key `hostnam`
//!   4 |   hostnam: node1
//!     |   ^^^^^^^ did you mean `hostname`?
//! ```

use unicode_width::UnicodeWidthStr as _;

use super::escape::safe;
use super::{Page, Tone};
use crate::cli::Place;

pub(super) fn draw(place: &Place, page: &mut Page) {
    let error = &place.error;
    let at = format!("{}:{}:{}:", error.file, error.line, error.column);
    page.words(&[(&at, Tone::Bad), (&error.message, Tone::Strong)]);
    let number = error.line.to_string();
    page.words(&[
        (&format!("  {number} |"), Tone::Dim),
        (&shown(&place.line), Tone::Plain),
    ]);
    let before: String = place
        .line
        .chars()
        .take(error.column.saturating_sub(1))
        .collect();
    let marked = caret(place, &before);
    let bar = format!("  {} |", " ".repeat(number.len()));
    let indent = " ".repeat(shown(&before).width());
    page.words(&[(&bar, Tone::Dim), (&format!("{indent}{marked}"), Tone::Bad)]);
    if let Some(expected) = &error.expected {
        page.indented(4, &format!("expected {expected}"), Tone::Plain);
    }
    if let Some(hint) = &error.hint {
        page.indented(4, &format!("hint: {hint}"), Tone::Good);
    }
    page.line("");
}

/// As many carets as columns are wrong on this line; at least one.
fn caret(place: &Place, before: &str) -> String {
    let rest = place.line.get(before.len()..).unwrap_or_default();
    let mut end = place.error.length.min(rest.len());
    while !rest.is_char_boundary(end) {
        end += 1;
    }
    "^".repeat(shown(rest.get(..end).unwrap_or_default()).width().max(1))
}

/// A tab is shown as four spaces, so that carets stand under what they mean.
fn shown(text: &str) -> String {
    safe(&text.replace('\t', "    ")).into_owned()
}

#[cfg(test)]
mod tests {
    use foundry_spec::SpecError;

    use super::draw;
    use crate::cli::Place;
    use crate::output::Page;

    fn place(line: &str, column: usize, length: usize) -> Place {
        let error = SpecError {
            file: "stack.yaml".to_owned(),
            line: 12,
            column,
            offset: 0,
            length,
            message: "unknown key `hostnam`".to_owned(),
            expected: None,
            hint: Some("did you mean `hostname`?".to_owned()),
        };
        Place {
            error,
            line: line.to_owned(),
        }
    }

    #[test]
    fn the_caret_stands_under_what_is_wrong() {
        let mut page = Page::new(false, 80);
        draw(&place("  - hostnam: node1", 5, 7), &mut page);
        insta::assert_snapshot!(page.into_text(), @r"
        stack.yaml:12:5: unknown key `hostnam`
          12 |   - hostnam: node1
             |     ^^^^^^^
            hint: did you mean `hostname`?
        ");
    }

    #[test]
    fn wide_characters_and_ends_of_lines_are_counted_right() {
        let mut page = Page::new(false, 80);
        draw(&place("名前: x", 5, 900), &mut page);
        let text = page.into_text();
        let caret = text.lines().nth(2).unwrap_or_default();
        assert_eq!(caret, "     |       ^", "{text}");
    }
}
