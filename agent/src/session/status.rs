//! How the session stands, for the agent's own status and for its service manager.

use std::time::Duration;

use foundry_proto::agent::v1::Refusal;

/// How the session stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionStatus {
    /// Whether there is a session.
    pub state: State,
    /// How often a session was opened since the start.
    pub sessions: u64,
}

/// Whether there is a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum State {
    /// Not tried yet, or on the way.
    #[default]
    Dialing,
    /// Welcomed over this address.
    Open {
        /// The address that answered, host:port.
        address: String,
    },
    /// Lost, or never had; it is tried again.
    Waiting {
        /// Why, with every cause.
        cause: String,
        /// Until the next attempt.
        retry_in: Duration,
    },
    /// The controller refuses this agent.
    Refused {
        /// The reason it gave.
        reason: Refusal,
        /// What it said.
        message: String,
        /// Until the next attempt.
        retry_in: Duration,
    },
    /// The agent is stopping.
    Stopped,
}
