//! Everything that was found about a file, with places turned into lines and columns.

use std::ops::Range;

use crate::error::{SpecError, SpecWarning};

/// Collects; nothing stops at the first error.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    source: &'a str,
    file: &'a str,
    errors: Vec<SpecError>,
    warnings: Vec<(usize, SpecWarning)>,
}

/// An error that was just reported, to be told more about.
pub(crate) struct Reported<'a>(&'a mut SpecError);

// === impl Report ===

impl<'a> Report<'a> {
    pub(crate) fn new(source: &'a str, file: &'a str) -> Self {
        Self {
            source,
            file,
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Something is wrong with these bytes.
    pub(crate) fn error(&mut self, at: &Range<usize>, message: impl ToString) -> Reported<'_> {
        let (line, column) = position(self.source, at.start);
        let error = SpecError {
            file: self.file.to_owned(),
            line,
            column,
            offset: at.start,
            length: first_line(self.source, at),
            message: printable(&message.to_string()),
            expected: None,
            hint: None,
        };
        Reported(self.errors.push_mut(error))
    }

    /// These bytes are valid, but should be looked at.
    pub(crate) fn warn(&mut self, at: &Range<usize>, message: impl ToString, hint: &str) {
        let (line, column) = position(self.source, at.start);
        let warning = SpecWarning {
            file: self.file.to_owned(),
            line,
            column,
            message: printable(&message.to_string()),
            hint: Some(hint.to_owned()),
        };
        self.warnings.push((at.start, warning));
    }

    /// The line of a place, from 1.
    pub(crate) fn line(&self, at: &Range<usize>) -> usize {
        position(self.source, at.start).0
    }

    /// All errors, or else all warnings, in the order of the file.
    pub(crate) fn finish(mut self) -> Result<Vec<SpecWarning>, Vec<SpecError>> {
        if self.errors.is_empty() {
            self.warnings.sort_by_key(|(offset, _)| *offset);
            return Ok(self
                .warnings
                .into_iter()
                .map(|(_, warning)| warning)
                .collect());
        }
        self.errors.sort_by_key(|error| error.offset);
        self.errors.dedup();
        Err(self.errors)
    }
}

// === impl Reported ===

impl Reported<'_> {
    /// What would be right.
    pub(crate) fn expected(self, expected: impl ToString) -> Self {
        self.0.expected = Some(expected.to_string());
        self
    }

    /// What to do about it.
    pub(crate) fn hint(self, hint: impl ToString) -> Self {
        self.0.hint = Some(printable(&hint.to_string()));
        self
    }

    /// The name that was probably meant, where one looks alike.
    pub(crate) fn nearest<'n>(self, given: &str, names: impl IntoIterator<Item = &'n str>) -> Self {
        match nearest(given, names) {
            Some(name) => self.hint(format!("did you mean `{name}`?")),
            None => self,
        }
    }
}

/// What may hold pieces of the file, on one line and without what a terminal would obey.
fn printable(text: &str) -> String {
    /// Enough for any sentence; what is quoted in it may be a whole file.
    const MOST: usize = 300;
    let mut shown = String::new();
    for c in text.chars().take(MOST) {
        if c.is_control() {
            shown.extend(c.escape_default())
        } else {
            shown.push(c)
        }
    }
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

/// The name that looks most like the given one, if any does.
pub(crate) fn nearest<'n>(
    given: &str,
    names: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    /// Below this, two names have nothing to do with one another.
    const ALIKE: f64 = 0.75;
    let given = given.to_lowercase();
    names
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&given, &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, name)| name)
}

/// Line and column of a byte, both from 1, columns in characters.
pub(crate) fn position(source: &str, offset: usize) -> (usize, usize) {
    let before = source.get(..offset).unwrap_or(source);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before[start..]
        .trim_start_matches('\u{feff}')
        .chars()
        .count()
        + 1;
    (before.matches('\n').count() + 1, column)
}

/// How many of the bytes stand on the line that they begin on.
fn first_line(source: &str, at: &Range<usize>) -> usize {
    source.get(at.clone()).map_or(0, |text| {
        text.split('\n')
            .next()
            .unwrap_or_default()
            .trim_end_matches('\r')
            .len()
    })
}

#[cfg(test)]
mod tests {
    use super::{nearest, position, printable};

    #[test]
    fn what_is_quoted_stays_on_one_line() {
        assert_eq!(printable("a\nb\u{1b}[31mä"), "a\\nb\\u{1b}[31mä");
        assert_eq!(printable(&"x".repeat(1000)).chars().count(), 301);
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(position("ab\r\nä: x", 0), (1, 1));
        assert_eq!(position("ab\r\nä: x", 8), (2, 4));
        assert_eq!(position("\u{feff}ab", 3), (1, 1));
    }

    #[test]
    fn nearest_names_look_alike() {
        let names = ["hostname", "address", "user", "port"];
        assert_eq!(nearest("hostnme", names), Some("hostname"));
        assert_eq!(nearest("Adress", names), Some("address"));
        assert_eq!(nearest("zzz", names), None);
    }
}
