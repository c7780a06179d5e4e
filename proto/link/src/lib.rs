//! The link between agents and controller: who is trusted, how they connect, and what a session does.
//!
//! * [`pki`]: the fleet's two certificate authorities, host keys, and what is read from a peer's certificate.
//! * [`tls`]: rustls configurations whose credentials can be swapped while connections live.
//! * [`session`]: both ends of a session as state machines without I/O and without a clock.
//! * [`backoff`]: when to dial again.
//!
//! Nothing here opens a socket or a file. Times are handed in: wall-clock time as [`std::time::SystemTime`] where
//! certificates need it, everything else as a [`std::time::Duration`] since an epoch of the caller's.

pub mod backoff;
pub mod pki;
pub mod session;
pub mod tls;
