//! Pieces of text put in place of others, and the lines that they belong to.

use std::ops::Range;

/// Replacements of one text.
#[derive(Debug, Default)]
pub(super) struct Splices(Vec<(Range<usize>, String)>);

// === impl Splices ===

impl Splices {
    /// These bytes become this text. What is asked for twice is done once.
    pub(super) fn replace(&mut self, at: Range<usize>, text: impl Into<String>) {
        let splice = (at, text.into());
        if !self.0.contains(&splice) {
            self.0.push(splice);
        }
    }

    /// This text is put before this byte.
    pub(super) fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.replace(at..at, text);
    }

    /// These bytes go.
    pub(super) fn delete(&mut self, at: Range<usize>) {
        self.replace(at, "");
    }

    /// Where the first change is.
    pub(super) fn first(&self) -> usize {
        self.0
            .iter()
            .map(|(at, _)| at.start)
            .min()
            .unwrap_or_default()
    }

    /// The text with all of them made. Where two overlap, the later one is left out.
    pub(super) fn apply(&self, source: &str) -> String {
        let mut splices: Vec<_> = self.0.iter().collect();
        splices.sort_by_key(|(at, _)| (at.start, at.end));
        let mut text = String::with_capacity(source.len() + 256);
        let mut done = 0;
        for (at, replacement) in splices {
            if let Some(kept) = source.get(done..at.start) {
                text.push_str(kept);
                text.push_str(replacement);
                done = at.end;
            }
        }
        text.push_str(source.get(done..).unwrap_or_default());
        text
    }
}

/// The byte after the line that this byte stands on; where that line is the last and not ended, the end of the text.
pub(super) fn line_end(source: &str, offset: usize) -> usize {
    // Behind a block scalar the next line has begun already.
    if source[..offset].ends_with('\n') {
        return offset;
    }
    source[offset..]
        .find('\n')
        .map_or(source.len(), |newline| offset + newline + 1)
}

/// The first byte of the line that this byte stands on.
pub(super) fn line_start(source: &str, offset: usize) -> usize {
    source[..offset]
        .rfind('\n')
        .map_or(0, |newline| newline + 1)
}

/// How a text ends its lines.
pub(super) fn eol(source: &str) -> &'static str {
    if source.contains("\r\n") {
        "\r\n"
    } else {
        "\n"
    }
}

/// Lines put after the line that ends at `end`, which may be the last and not ended.
pub(super) fn lines_after(source: &str, end: usize, lines: &[String]) -> String {
    let eol = eol(source);
    let text: String = lines.iter().map(|line| format!("{line}{eol}")).collect();
    if end == 0 || source[..end].ends_with('\n') {
        return text;
    }
    format!("{eol}{}", text.trim_end_matches(eol))
}

/// What stands before this byte on its line, where that is nothing but spaces.
pub(super) fn indent(source: &str, offset: usize) -> Option<&str> {
    let before = source[line_start(source, offset)..offset].trim_start_matches('\u{feff}');
    before.bytes().all(|b| b == b' ').then_some(before)
}

/// Lines of comments right after `end` that stand deeper than `indent`: they belong to what comes before.
pub(super) fn with_own_comments(source: &str, end: usize, indent: usize) -> usize {
    let mut end = end;
    for line in source[end..].split_inclusive('\n') {
        let text = line.trim_start_matches(' ');
        if !text.starts_with('#') || line.len() - text.len() <= indent {
            break;
        }
        end += line.len();
    }
    end
}
