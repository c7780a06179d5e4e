//! Everything that the terminal shows.
//!
//! [`Printer`] owns both streams: what was asked for goes to standard output, the rest to standard error. Commands hand
//! it a [`Document`] (a table for people, the JSON of docs/json.md for programs) or, for streams, one [`Row`] after the
//! other. Whatever came from a host passes [`escape::safe`] before a terminal sees it.

mod ask;
mod document;
mod error;
pub mod escape;
mod format;
pub mod json;
mod page;
mod printer;
mod progress;
mod settings;
mod snippet;
pub mod time;
pub mod views;

pub use document::{Document, Row};
pub use format::Format;
pub use page::{Page, Tone};
pub use printer::Printer;
pub use progress::Progress;
pub use settings::Settings;
