//! What can go wrong with the listener and with sessions.

use std::time::Duration;

use foundry_proto::HostId;

/// Why the hub cannot start.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// `listen` is not an address with a port.
    #[error("`{listen}` is not an address to listen on, like `[::]:7443`")]
    Address {
        /// As configured.
        listen: String,
    },
    /// Somebody else has the port.
    #[error("port {port} is taken by {owner}")]
    Taken {
        /// The port.
        port: u16,
        /// The process that has it, or `another process`.
        owner: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The address cannot be listened on.
    #[error("listen on {listen}")]
    Listen {
        /// As configured.
        listen: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// TLS cannot be set up.
    #[error("set up TLS for agents")]
    Tls(#[source] foundry_link::tls::TlsError),
}

/// Why a host could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// It has no session.
    #[error("host {0} is not connected")]
    NotConnected(HostId),
    /// Its session ended before it answered.
    #[error("host {0} disconnected")]
    Disconnected(HostId),
    /// It did not answer in time.
    #[error("host {host} did not answer within {} ms", within.as_millis())]
    Timeout {
        /// The host.
        host: HostId,
        /// How long it was given.
        within: Duration,
    },
    /// Too much is under way with it already.
    #[error("host {0} has too many requests under way")]
    Busy(HostId),
    /// It holds a higher revision, or the same with other content.
    #[error("host {host} holds revision {held} of {name}: {reason}")]
    Refused {
        /// The host.
        host: HostId,
        /// The assignment.
        name: String,
        /// The revision that it holds.
        held: u64,
        /// What is wrong with the new one.
        reason: &'static str,
    },
}

/// The error with every cause, for the log.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
