//! The agent: carries out on its host what the controller assigns, and reports how it stands.
//!
//! * [`config`]: settings and identity, parsed once.
//! * [`ledger`]: what must survive a crash.
//! * [`tasks`]: each kind of task: observe, diff, apply, verify.
//! * [`health`]: units watched and probes asked.
//! * [`executor`]: brings assignments to their newest revision, answers what it is asked.
//! * [`artifacts`]: files by digest, fetched from the controller and kept.
//! * [`session`]: the connection to the controller, dialled again and again.
//! * [`jobs`]: one-off work; so far taking the agent off its host.
//! * [`facts`]: what the host is.
//! * [`enrol`]: the dialogue that makes a host part of a fleet.
//! * [`run`]: the parts put together, as a process and as a library.
//! * [`cli`]: the command line.

pub mod config;
pub mod health;
pub mod ledger;
pub mod session;
pub mod tasks;
