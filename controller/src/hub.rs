//! The agents' side of the controller: the listener, who is let in, and the sessions.
//!
//! Tasks: one accepts (TCP; bridged streams come in through [`Hub::accept`]); each connection is driven by tonic's own
//! task; each session has one task that runs the state machine of `foundry_link::session::controller`; one recorder
//! stores the events of all sessions in groups ([`Backend::record`]), acknowledges them, and then publishes them.
//!
//! Invariants: nobody gets past the handshake without a certificate of the fleet; every call, and every heartbeat, is
//! checked against [`Admission`]; a host speaks only for itself; an event is acknowledged only after it is stored; the
//! operator API is not served here.

mod admission;
mod artifact;
mod backend;
mod connection;
mod door;
mod error;
mod event;
mod gate;
mod handle;
mod listen;
mod log_limit;
mod recorder;
mod refusal;
mod registry;
mod serve;
mod service;
mod session;
#[cfg(test)]
mod tests;

pub use admission::{Admission, Admitted};
pub use backend::{Backend, BackendError, HostEvent};
pub use error::{HubError, SessionError};
pub use event::{Disconnect, HubEvent};
pub use handle::{SessionHandle, SessionInfo};
pub use serve::{Hub, Settings};
