//! The controller and the command line of foundry.

pub mod api;
pub mod hub;
pub mod stack;
pub mod state;
pub mod store;
