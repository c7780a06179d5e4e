//! stack.yaml: what a user declares, read into validated types.
//!
//! The text becomes a tree of nodes that know where they stand ([`parse`] finds every error at once, each with line,
//! column and the nearest name), the tree becomes a [`Stack`], whose types cannot hold what was not checked. Changes by
//! commands ([`edit`]) splice the text, so that comments, order and quotes stay. Nothing here does I/O.

pub mod edit;
mod emit;
mod error;
mod field;
mod model;
mod read;
mod report;
pub mod template;
mod tree;

pub use error::{SpecError, SpecWarning};
pub use model::*;

use report::Report;

/// A file that was read, and what should be said about it though it is valid.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// What is declared, with defaults filled in.
    pub stack: Stack,
    /// In the order of the file.
    pub warnings: Vec<SpecWarning>,
}

/// Reads the text of a stack.yaml. `file` is its name in messages.
///
/// # Errors
///
/// All that is wrong with it, in the order of the file.
pub fn parse(source: &str, file: &str) -> Result<Parsed, Vec<SpecError>> {
    let mut report = Report::new(source, file);
    let stack = match tree::build(source) {
        Ok(root) => read::stack(&root, &mut report),
        Err(error) => {
            let reported = report.error(&error.at, error.message);
            if let Some(hint) = error.hint {
                reported.hint(hint);
            }
            None
        }
    };
    let warnings = report.finish()?;
    // What keeps a stack from being made was reported, so there are errors then.
    stack
        .map(|stack| Parsed { stack, warnings })
        .ok_or_else(Vec::new)
}
