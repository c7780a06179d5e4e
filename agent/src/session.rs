//! The agent's end of the session: dials the controller, keeps the session up, and hands over what arrives.
//!
//! [`run`] is one task; it owns the connection. What the agent does with orders stands behind [`Agent`]; what it has to
//! tell comes in through one bounded channel of [`Outgoing`]. Losing the connection stops nothing: events wait (the
//! ledger has them all; only a window of them is kept in memory), health and drift keep their latest value, progress and
//! output are dropped with a count.
//!
//! The protocol itself is the state machine of `foundry_link::session::agent`; here are its socket and its clock.

mod agent;
mod artifact;
mod channel;
mod dial;
mod driver;
mod ended;
mod status;
#[cfg(test)]
mod tests;
mod worker;

pub use agent::{Agent, Outgoing};
pub use artifact::{ArtifactSink, FetchError, fetch_artifact};
pub use dial::{DialError, Dialer, try_addresses};
pub use driver::run;
pub use ended::Ended;
pub use status::{SessionStatus, State};
