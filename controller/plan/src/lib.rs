//! Plans: from what is wanted and what was observed to the steps that make the difference.
//!
//! [`plan`] is a function of its [`Inputs`]: no clock, no I/O, no chance. It compares, host by host, each wanted
//! assignment with what the host says that it has and with what was observed there, turns
//! differences into [`Change`]s for people and into [`Step`]s for the engine, and lays the steps into waves ([`graph`]).

mod compare;
pub mod graph;
mod inputs;
mod layout;
mod output;
mod planner;

pub use inputs::{
    Desired, Goal, HostView, Inputs, Known, Observation, ObservedTask, Phase, Place, Selection,
    Unmatched, View, removal,
};
pub use output::{
    Action, Change, Order, Orphan, Plan, Problem, Revision, Step, StepKind, Summary,
    UnreachableHost,
};
pub use planner::plan;
