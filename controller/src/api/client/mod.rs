//! The command line's end of the operator API.
//!
//! [`connect`] finds the controller of a fleet by its socket, and starts one in the background where nobody serves it
//! ([`spawn`]). Only one command starts a controller at a time; the others wait for it and use it. What the controller
//! answers in the negative becomes a [`CliError`] with its causes and hints ([`refusal`]).

mod connect;
mod error;
mod refusal;
pub mod spawn;

pub use connect::{Client, Start, connect};
pub use error::ConnectError;
pub use refusal::refusal;
