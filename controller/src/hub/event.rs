//! What the hub tells its subscribers.

use std::net::SocketAddr;
use std::sync::Arc;

use foundry_proto::HostId;
use foundry_proto::agent::v1::{
    DriftReport, Event, HealthReport, Hello, JobOutput, Progress, Refusal,
};

/// What happened. A subscriber that is too slow misses some and is told so by its channel; outcomes are in the store.
#[derive(Debug, Clone)]
pub enum HubEvent {
    /// A session opened.
    Connected {
        /// The host.
        host: HostId,
        /// What it said of itself.
        hello: Arc<Hello>,
    },
    /// A session ended.
    Disconnected {
        /// The host.
        host: HostId,
        /// Why.
        reason: Disconnect,
    },
    /// An event that is stored.
    Event {
        /// The host.
        host: HostId,
        /// The event.
        event: Event,
    },
    /// Latest value of an assignment's health.
    Health {
        /// The host.
        host: HostId,
        /// The report.
        report: HealthReport,
    },
    /// Latest value of an assignment's drift.
    Drift {
        /// The host.
        host: HostId,
        /// The report.
        report: DriftReport,
    },
    /// Progress of work under way; some may be missing.
    Progress {
        /// The host.
        host: HostId,
        /// The message.
        progress: Progress,
    },
    /// Output of a job; some may be missing.
    JobOutput {
        /// The host.
        host: HostId,
        /// The piece.
        output: JobOutput,
    },
    /// A peer with a certificate of the fleet was refused.
    Refused {
        /// Whom its certificate names.
        identity: String,
        /// From where; `None`: over a bridge.
        address: Option<SocketAddr>,
        /// Why.
        reason: Refusal,
    },
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disconnect {
    /// The agent closed it, or the connection broke.
    Closed,
    /// Nothing was heard for the session's ttl.
    Silent,
    /// The same host opened a newer one.
    Replaced,
    /// It was cut.
    Cut(Refusal),
    /// The agent broke the protocol.
    Protocol(String),
    /// Its events cannot be stored.
    NotStored,
    /// The controller stops.
    Stopping,
}
