//! What commands hand to the printer.

use serde::Serialize;

use super::Page;

/// An answer: a page for people, a serialised model for programs.
pub trait Document: Serialize {
    /// Writes it for people.
    fn draw(&self, page: &mut Page);
}

/// One element of a stream: a line for people, a document for programs.
pub trait Row: Serialize {
    /// Writes it for people, as one line.
    fn line(&self, page: &mut Page);
}
