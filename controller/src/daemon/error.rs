//! Why a controller cannot be.

use std::io;

use camino::Utf8PathBuf;
use foundry_link::pki::PkiError;
use foundry_link::tls::CredentialsError;

use crate::engine::EngineError;
use crate::state::StateError;
use crate::store::StoreError;

/// Why a controller cannot be.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The fleet's state is missing, unsafe, or held by another.
    #[error(transparent)]
    State(#[from] StateError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The engine does not start.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The folder of artifacts cannot be used.
    #[error("cannot use the folder of artifacts")]
    Artifacts(#[source] io::Error),
    /// The controller's certificate cannot be made.
    #[error("cannot make the controller's certificate")]
    Certificate(#[source] PkiError),
    /// The certificate that was made does not hold.
    #[error("the controller's certificate does not hold")]
    Credentials(#[source] CredentialsError),
    /// The operator's socket cannot be made.
    #[error("cannot make the socket {path}")]
    Socket {
        /// Where.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Signals cannot be watched.
    #[error("cannot watch for signals")]
    Signals(#[source] io::Error),
}

// === impl DaemonError ===

impl DaemonError {
    /// What to do about it.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::State(error) => error.hints(),
            Self::Store(error) => error.hints(),
            Self::Certificate(_) | Self::Credentials(_) => {
                vec!["is this machine's clock right?".to_owned()]
            }
            Self::Engine(_) | Self::Artifacts(_) | Self::Socket { .. } | Self::Signals(_) => {
                Vec::new()
            }
        }
    }
}
