//! The controller and the command line of foundry.

pub mod api;
pub mod artifacts;
pub mod bootstrap;
pub mod cli;
pub mod commands;
pub mod daemon;
pub mod engine;
pub mod hub;
pub mod output;
pub mod stack;
pub mod state;
pub mod store;
