//! The agent: carries out on its host what the controller assigns, and reports how it stands.
//!
//! * [`config`]: settings and identity, parsed once.
//! * [`ledger`]: what must survive a crash.
//! * [`tasks`]: each kind of task: observe, diff, apply, verify.
//! * [`health`]: units watched and probes asked.
//! * [`executor`]: brings assignments to their newest revision, answers what it is asked.
//! * [`artifacts`]: files by digest, fetched from the controller and kept.
//! * [`session`]: the connection to the controller, dialled again and again.
//! * [`renewal`]: its certificate and settings, as the controller changes them.
//! * [`jobs`]: one-off work; so far taking the agent off its host.
//! * [`facts`]: what the host is.
//! * [`enrol`]: the dialogue that makes a host part of a fleet.
//! * [`run`]: the parts put together, as a process and as a library.
//! * [`cli`]: the command line.

pub mod artifacts;
pub mod cli;
pub mod config;
pub mod enrol;
mod error_chain;
pub mod executor;
pub mod facts;
pub mod health;
pub mod jobs;
pub mod ledger;
pub mod renewal;
pub mod run;
pub mod session;
pub mod tasks;
