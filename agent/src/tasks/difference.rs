//! What is different, in a human's terms.

use std::fmt::Write;

use foundry_proto::agent::v1::Action;
use similar::TextDiff;

/// The longest diff of a text, in lines.
const MOST_LINES: usize = 60;

/// The longest text that is compared line by line, in bytes.
const LONGEST_TEXT: usize = 128 * 1024;

/// What would have to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Difference {
    /// Nothing.
    None,
    /// It would be made, changed or removed.
    Change {
        /// Create, update or remove.
        action: Action,
        /// What of it.
        text: String,
    },
    /// Something that is not ours is in the way.
    Blocked(String),
    /// Something is missing that a task before this one may bring.
    Waiting(String),
}

// === impl Difference ===

impl Difference {
    pub(super) fn create(text: impl Into<String>) -> Self {
        Self::Change {
            action: Action::Create,
            text: text.into(),
        }
    }

    pub(super) fn update(text: impl Into<String>) -> Self {
        Self::Change {
            action: Action::Update,
            text: text.into(),
        }
    }

    pub(super) fn remove(text: impl Into<String>) -> Self {
        Self::Change {
            action: Action::Remove,
            text: text.into(),
        }
    }

    /// These parts made or changed; none where there are none.
    pub(super) fn of(is_new: bool, parts: Vec<String>) -> Self {
        match (parts.is_empty(), is_new) {
            (true, _) => Self::None,
            (false, true) => Self::create(parts.join("\n")),
            (false, false) => Self::update(parts.join("\n")),
        }
    }

    /// What it says.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::None => "",
            Self::Change { text, .. } | Self::Blocked(text) | Self::Waiting(text) => text,
        }
    }
}

/// The lines that differ between two texts, with a little around them; bounded. Other bytes are told by their sizes.
pub(super) fn of_contents(name: &str, old: &[u8], new: &[u8]) -> String {
    let is_short = old.len() <= LONGEST_TEXT && new.len() <= LONGEST_TEXT;
    match (std::str::from_utf8(old), std::str::from_utf8(new)) {
        (Ok(old), Ok(new)) if is_short => of_texts(name, old, new),
        _ => format!("{name}: {} bytes → {} bytes", old.len(), new.len()),
    }
}

fn of_texts(name: &str, old: &str, new: &str) -> String {
    let diff = TextDiff::from_lines(old, new);
    let mut text = name.to_owned();
    let mut lines = 0;
    for hunk in diff.unified_diff().context_radius(1).iter_hunks() {
        for change in hunk.iter_changes() {
            lines += 1;
            if lines > MOST_LINES {
                text.push_str("\n  …");
                return text;
            }
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "\n{}{}",
                change.tag(),
                change.value().trim_end_matches('\n')
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Difference, MOST_LINES, of_contents};

    #[test]
    fn only_the_lines_that_differ_are_shown() {
        let old = b"a\nb\nc\nd\ne\nf\n";
        let new = b"a\nb\nc\nD\ne\nf\n";
        assert_eq!(of_contents("x.conf", old, new), "x.conf\n c\n-d\n+D\n e");
    }

    #[test]
    fn long_diffs_end_and_bytes_are_counted() {
        let new: String = (0..1000).map(|n| format!("{n}\n")).collect();
        let text = of_contents("x", b"", new.as_bytes());
        assert_eq!(text.lines().count(), MOST_LINES + 2);
        assert_eq!(of_contents("x", &[0xff], b"ab"), "x: 1 bytes → 2 bytes");
    }

    #[test]
    fn no_parts_are_no_difference() {
        assert_eq!(Difference::of(true, vec![]), Difference::None);
    }
}
