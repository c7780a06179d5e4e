//! The owner of standard output and standard error.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::builder::StyledStr;
use serde::Serialize;

use super::{Document, Format, Page, Progress, Row, Settings, Tone, error};
use crate::cli::CliError;

/// Prints; cheap to clone.
#[derive(Debug, Clone)]
pub struct Printer {
    settings: Settings,
    closed: Arc<AtomicBool>,
}

// === impl Printer ===

impl Printer {
    /// A printer on this process' streams.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            closed: Arc::default(),
        }
    }

    /// How it prints.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Nobody reads standard output any more (`foundry events --follow | head`): a stream may end.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Prints what was asked for.
    pub fn document(&self, document: &impl Document) {
        let text = match self.settings.format {
            Format::Table => self.draw(|page| document.draw(page)),
            Format::Json => json(document, true),
            Format::Yaml => yaml(document),
        };
        self.out(&text);
    }

    /// Prints one element of a stream.
    pub fn row(&self, row: &impl Row) {
        let text = match self.settings.format {
            Format::Table => self.draw(|page| row.line(page)),
            Format::Json => json(row, false),
            Format::Yaml => format!("---\n{}", yaml(row)),
        };
        self.out(&text);
    }

    /// Prints one state of a stream of whole documents.
    pub fn state(&self, document: &impl Document) {
        let text = match self.settings.format {
            Format::Table if self.settings.redraw => {
                format!("\u{1b}[H\u{1b}[2J{}", self.draw(|page| document.draw(page)))
            }
            Format::Table => format!("{}\n", self.draw(|page| document.draw(page))),
            Format::Json => json(document, false),
            Format::Yaml => format!("---\n{}", yaml(document)),
        };
        self.out(&text);
    }

    /// Shows a document to the user before a question, on standard error, where it is no data.
    pub fn show(&self, document: &impl Document) {
        if self.settings.quiet || self.settings.format != Format::Table {
            return;
        }
        let mut page = Page::new(self.settings.color_err, self.settings.width);
        document.draw(&mut page);
        self.err(&page.into_text());
    }

    /// Says what is going on.
    pub fn note(&self, text: &str) {
        if !self.settings.quiet {
            self.say(&[(text, Tone::Plain)]);
        }
    }

    /// Says what is done in detail, where that was asked for.
    pub fn detail(&self, text: &str) {
        if self.settings.verbose {
            self.say(&[(text, Tone::Dim)]);
        }
    }

    /// Says what should be looked at.
    pub fn warning(&self, text: &str) {
        if !self.settings.quiet {
            self.say(&[("warning:", Tone::Warn), (text, Tone::Plain)]);
        }
    }

    /// Says what could be done.
    pub fn hint(&self, text: &str) {
        if !self.settings.quiet {
            self.say(&[("  hint:", Tone::Dim), (text, Tone::Plain)]);
        }
    }

    /// Says why the command failed.
    pub fn error(&self, error: &CliError) {
        let text = match self.settings.format {
            Format::Table => {
                let mut page = Page::new(self.settings.color_err, self.settings.width);
                error::draw(error, &mut page);
                page.into_text()
            }
            Format::Json => json(&error::document(error), false),
            Format::Yaml => yaml(&error::document(error)),
        };
        self.err(&text);
    }

    /// The line by which a process in the background tells who started it that it serves.
    pub fn signal(&self, word: &str) {
        self.out(&format!("{word}\n"));
    }

    /// Shows how each host is getting on, until it is dropped.
    pub fn progress(&self) -> Progress {
        Progress::new(self.settings)
    }

    /// What clap answers: help, or the version.
    pub(crate) fn answer(&self, text: &StyledStr) {
        let text = if self.settings.color_out {
            text.ansi().to_string()
        } else {
            text.to_string()
        };
        self.out(&text);
    }

    /// Why clap does not take the arguments.
    pub(crate) fn refusal(&self, text: &StyledStr) {
        let text = if self.settings.color_err {
            text.ansi().to_string()
        } else {
            text.to_string()
        };
        self.err(&text);
    }

    fn say(&self, words: &[(&str, Tone)]) {
        let mut page = Page::new(self.settings.color_err, self.settings.width);
        page.words(words);
        self.err(&page.into_text());
    }

    fn draw(&self, draw: impl FnOnce(&mut Page)) -> String {
        let mut page = Page::new(self.settings.color_out, self.settings.width);
        draw(&mut page);
        page.into_text()
    }

    fn out(&self, text: &str) {
        let mut stream = io::stdout().lock();
        if stream
            .write_all(text.as_bytes())
            .and_then(|()| stream.flush())
            .is_err()
        {
            self.closed.store(true, Ordering::Relaxed);
        }
    }

    fn err(&self, text: &str) {
        // With standard error gone there is nobody left to tell.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
}

fn json(model: &impl Serialize, pretty: bool) -> String {
    let text = if pretty {
        serde_json::to_string_pretty(model)
    } else {
        serde_json::to_string(model)
    };
    text.map(|text| text + "\n").unwrap_or_default()
}

fn yaml(model: &impl Serialize) -> String {
    let mut text = serde_saphyr::to_string(model).unwrap_or_default();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}
