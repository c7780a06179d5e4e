//! The driver against a controller that does what the test says, over real mTLS on a free port.

mod artifacts;
mod controller;
mod dialling;
mod sessions;
