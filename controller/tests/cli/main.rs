//! The `foundry` command as a user has it: a process with arguments, files and an environment of its own, and no host, no
//! terminal, nothing of the developer's.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod bootstrap;
mod config;
mod controller;
mod environment;
mod errors;
mod reach;
mod stack;
