//! Text from elsewhere, made harmless for a terminal.
//!
//! A host's strings (names, versions, log lines) could move the cursor, change the title or hide what follows. Control
//! characters, and the marks that turn the direction of writing, are shown as what they are.

use std::borrow::Cow;
use std::fmt::Write as _;

/// One line: line breaks are shown too.
pub fn safe(text: &str) -> Cow<'_, str> {
    escape(text, is_harmful)
}

/// Several lines: breaks and tabs stay.
pub fn safe_lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| c != '\n' && c != '\t' && is_harmful(c))
}

fn escape(text: &str, harmful: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&harmful) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !harmful(c) => shown.push(c),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c => {
                let _ = write!(shown, "\\u{{{:x}}}", c as u32);
            }
        }
    }
    Cow::Owned(shown)
}

fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::{safe, safe_lines};

    #[test]
    fn nothing_of_a_hosts_reaches_the_terminal_raw() {
        assert_eq!(safe("\u{1b}[2Jgone"), "\\u{1b}[2Jgone");
        assert_eq!(safe("a\nb\tc\r"), "a\\nb\\tc\\r");
        assert_eq!(safe("\u{202e}txt.exe"), "\\u{202e}txt.exe");
        assert_eq!(safe("\u{9b}31m"), "\\u{9b}31m");
        assert_eq!(safe("grün, 日本"), "grün, 日本");
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(safe_lines("a\n\tb\u{7}"), "a\n\tb\\u{7}");
    }
}
