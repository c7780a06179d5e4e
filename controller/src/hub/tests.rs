//! The hub over real mTLS on a free port, with hosts that are a plain gRPC client each.

mod admission;
mod artifacts;
mod fleet;
mod handshake;
mod sessions;
