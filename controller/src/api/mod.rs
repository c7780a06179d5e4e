//! The operator API: what the command line asks of a controller.

pub mod client;
pub mod error;
pub mod server;
