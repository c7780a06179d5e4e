//! The engine with a real store, a real hub, and hosts that dial it over TLS and do as a test tells them.

mod fleet;
mod host;
mod hosts;
mod runs;
mod status;
mod withdrawn;
