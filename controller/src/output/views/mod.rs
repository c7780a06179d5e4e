//! How the documents of [`super::json`] look to people.

mod config;
mod controller;
mod enrolment;
mod event;
mod host;
mod plan;
mod run;
mod service;
mod status;

use super::Tone;

/// A cell of a table.
type Cell = (String, Tone);

/// A cell without colour; a dash where there is nothing.
fn plain(text: impl Into<String>) -> Cell {
    let text: String = text.into();
    if text.is_empty() {
        ("-".to_owned(), Tone::Dim)
    } else {
        (text, Tone::Plain)
    }
}

/// The same, of what may be missing.
fn maybe(text: Option<&String>) -> Cell {
    plain(text.cloned().unwrap_or_default())
}

/// The first line of a message: a table has no room for the log that may follow.
fn brief(text: Option<&String>) -> Cell {
    plain(
        text.and_then(|text| text.lines().next())
            .unwrap_or_default(),
    )
}
