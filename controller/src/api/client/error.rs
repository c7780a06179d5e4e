//! Why no controller can be spoken to.

use std::io;
use std::time::Duration;

use camino::Utf8PathBuf;
use foundry_proto::FleetId;

use crate::cli::CliError;
use crate::state::StateError;

/// Why a command has no controller.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody serves the fleet, and none was to be started.
    #[error("no controller of fleet `{fleet}` is running")]
    Absent {
        /// The fleet.
        fleet: FleetId,
    },
    /// It belongs to somebody else.
    #[error("the controller's socket {socket} belongs to another user")]
    OtherUser {
        /// The socket.
        socket: Utf8PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It does not answer at its socket.
    #[error("cannot speak with the controller at {socket}")]
    Socket {
        /// The socket.
        socket: Utf8PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It could not be started at all.
    #[error("cannot start a controller in the background")]
    Spawn(#[source] io::Error),
    /// It was started and ended at once.
    #[error("the controller that was started ended at once; the end of {log}:\n{tail}")]
    Died {
        /// Its log.
        log: Utf8PathBuf,
        /// What it wrote.
        tail: String,
    },
    /// It was started, and did not come to serve.
    #[error("the controller that was started does not serve after {} s", waited.as_secs())]
    NotReady {
        /// Its log.
        log: Utf8PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The fleet's folder is not as it should be.
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<ConnectError> for CliError {
    fn from(error: ConnectError) -> Self {
        let hints = match &error {
            ConnectError::Absent { .. } => {
                vec!["every command that needs one starts it; `foundry status` is one".to_owned()]
            }
            ConnectError::OtherUser { .. } => {
                vec!["run this as the user who made the fleet, without sudo".to_owned()]
            }
            ConnectError::Socket { .. } => vec![
                "see what it does: `foundry controller status`, and controller.log beside the socket".to_owned(),
            ],
            ConnectError::Died { log, .. } | ConnectError::NotReady { log, .. } => {
                vec![format!("its whole log is {log}")]
            }
            ConnectError::Spawn(_) => Vec::new(),
            ConnectError::State(state) => state.hints(),
        };
        Self::failed(error).hints(hints)
    }
}
