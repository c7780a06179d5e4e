//! Tasks: the desired state of one thing each, and how it comes about.
//!
//! Each kind has a file of its own with the same four parts: *observe* what is there, *diff* it with what should be (a
//! pure function), *apply* the difference, *verify*. Observing writes nothing, and applying twice changes nothing. What is
//! not ours is never stopped, replaced or removed: it blocks, by name.
//!
//! Nothing here starts tasks of its own or keeps state; what a previous revision made is told by the ledger, through
//! `previous`.

mod applied;
mod attributes;
mod command;
mod context;
mod difference;
mod directory;
mod error;
mod file;
mod image;
mod kinds;
mod observe;
mod package;
mod purge;
mod runtime;
mod service;
mod settle;
#[cfg(test)]
mod tests;
mod unit;
mod unit_file;

pub use applied::{Applied, Removed, apply, remove};
pub use context::{ArtifactError, Artifacts, Context, ProgressSink, TaskProgress};
pub use error::TaskError;
pub use kinds::unsupported;
pub use observe::observe;
