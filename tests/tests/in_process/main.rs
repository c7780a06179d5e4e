//! Whole fleets in one process: the controller and the agents are the real ones, the hosts are fakes.

mod membership;
mod services;
mod stage;
mod survival;
