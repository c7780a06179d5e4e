//! Lines and tables for people.

use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, Color, ContentArrangement, Table, presets};

use super::escape::{safe, safe_lines};

/// What a word means to the reader; decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// No colour.
    Plain,
    /// As it should be.
    Good,
    /// To be looked at.
    Warn,
    /// Wrong.
    Bad,
    /// Not what the reader came for.
    Dim,
    /// A heading.
    Strong,
}

/// Text under way to a terminal. Whatever is written on it is escaped.
#[derive(Debug)]
pub struct Page {
    text: String,
    color: bool,
    width: usize,
}

// === impl Page ===

impl Page {
    /// An empty page of this width in columns.
    pub fn new(color: bool, width: usize) -> Self {
        Self {
            text: String::new(),
            color,
            width,
        }
    }

    /// What was written.
    pub fn into_text(self) -> String {
        self.text
    }

    /// Writes one line.
    pub fn line(&mut self, text: &str) {
        self.text.push_str(&safe(text));
        self.text.push('\n');
    }

    /// Writes an empty line, unless nothing stands above it.
    pub fn gap(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    /// Writes words of different tones as one line.
    pub fn words(&mut self, words: &[(&str, Tone)]) {
        for (index, (word, tone)) in words.iter().enumerate() {
            if index > 0 && !word.is_empty() {
                self.text.push(' ');
            }
            let word = self.paint(&safe(word), *tone);
            self.text.push_str(&word);
        }
        self.text.push('\n');
    }

    /// Writes lines, each behind this many spaces.
    pub fn indented(&mut self, spaces: usize, text: &str, tone: Tone) {
        for line in safe_lines(text).lines() {
            self.text.push_str(&" ".repeat(spaces));
            let line = self.paint(line, tone);
            self.text.push_str(&line);
            self.text.push('\n');
        }
    }

    /// Writes a table with these headings. Long cells are wrapped to the page's width.
    pub fn table(&mut self, headings: &[&str], rows: Vec<Vec<(String, Tone)>>) {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(u16::try_from(self.width).unwrap_or(u16::MAX));
        table.set_header(headings.iter().map(Cell::new));
        table.add_rows(rows.into_iter().map(|row| row.into_iter().map(cell)));
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        if self.color {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        for line in table.lines() {
            self.text.push_str(line.trim_end());
            self.text.push('\n');
        }
    }

    fn paint(&self, text: &str, tone: Tone) -> String {
        let style = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Warn => AnsiColor::Yellow.on_default(),
            Tone::Bad => AnsiColor::Red.on_default(),
            Tone::Dim => Style::new().dimmed(),
            Tone::Strong => Style::new().bold(),
        };
        if !self.color {
            return text.to_owned();
        }
        format!("{style}{text}{style:#}")
    }
}

fn cell((text, tone): (String, Tone)) -> Cell {
    let cell = Cell::new(safe(&text));
    match tone {
        Tone::Plain | Tone::Strong => cell,
        Tone::Good => cell.fg(Color::Green),
        Tone::Warn => cell.fg(Color::Yellow),
        Tone::Bad => cell.fg(Color::Red),
        Tone::Dim => cell.fg(Color::DarkGrey),
    }
}

#[cfg(test)]
mod tests {
    use super::{Page, Tone};

    #[test]
    fn a_long_cell_is_wrapped_within_eighty_columns() {
        let mut page = Page::new(false, 80);
        let long = "connection refused ".repeat(12);
        page.table(
            &["HOST", "MESSAGE"],
            vec![vec![("node1".to_owned(), Tone::Plain), (long, Tone::Bad)]],
        );
        let text = page.into_text();
        assert!(text.lines().count() > 2, "{text}");
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
    }

    #[test]
    fn colours_only_where_they_are_wanted() {
        let mut plain = Page::new(false, 80);
        plain.words(&[("node1", Tone::Strong), ("healthy", Tone::Good)]);
        assert_eq!(plain.into_text(), "node1 healthy\n");
        let mut color = Page::new(true, 80);
        color.words(&[("healthy", Tone::Good)]);
        assert_eq!(color.into_text(), "\u{1b}[32mhealthy\u{1b}[0m\n");
    }
}
