//! Bringing the agent to hosts over the user's own ssh, and enrolling them.
//!
//! ```text
//!  rounds ── parallel, BatchMode; then one at a time with the terminal, where one is needed and there
//!    └ enrol ── one host: what to answer to what the far side says
//!        ├ channel ── the ssh child: three pipes, deadlines
//!        │    └ dialogue ── what the bytes mean (no I/O; tested with recorded transcripts)
//!        ├ verdict ── what the host's words come to
//!        ├ agents ── which binary for which architecture
//!        └ operator API ── Enrol, AwaitHost
//! ```
//!
//! One ssh session per host carries everything: the script stands in ssh's arguments, standard input and output are the
//! dialogue. The host is changed only after it has said what it is, and a host that is enrolled already costs one round
//! trip. What goes wrong is a [`Cause`] with a name. `stack install` hands its hosts to a [`detach`]ed helper, so that a
//! killed command changes nothing.

mod agents;
mod cause;
mod channel;
mod detached;
mod dialogue;
mod enrol;
mod hello;
mod order;
mod reach;
mod rounds;
mod script;
mod settings;
mod ssh;
mod verdict;

pub use cause::Cause;
pub use detached::{DetachError, detach, for_run};
pub use order::{Order, Target};
pub use reach::reach;
pub use rounds::by_hand;
pub use settings::Settings;
