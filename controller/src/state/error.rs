//! What can be wrong with a fleet's state.

use std::io;

use camino::Utf8PathBuf;
use foundry_link::pki::PkiError;
use foundry_proto::FleetId;

/// Why a fleet's state cannot be made, found or used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// No such fleet here.
    #[error("no state of fleet `{fleet}` in {home}")]
    NoState {
        /// The fleet asked for.
        fleet: FleetId,
        /// Where it was looked for.
        home: Utf8PathBuf,
        /// The fleets that are there.
        known: Vec<FleetId>,
    },
    /// Others could change what is trusted.
    #[error("{path} can be written by others (mode {mode:03o})")]
    Writable {
        /// The folder.
        path: Utf8PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to somebody else.
    #[error("{path} belongs to user {owner}, this process runs as user {user}")]
    NotOurs {
        /// The folder.
        path: Utf8PathBuf,
        /// Its owner's id.
        owner: u32,
        /// The id of this process.
        user: u32,
    },
    /// Another controller has the fleet.
    #[error("fleet `{fleet}` is held by {holder}")]
    Held {
        /// The fleet.
        fleet: FleetId,
        /// Who holds it: `process 4711`.
        holder: String,
    },
    /// The key that seals the store is damaged.
    #[error("{path} is not a key: expected 32 bytes, found {found}")]
    SealKey {
        /// The file.
        path: Utf8PathBuf,
        /// How many bytes it has.
        found: usize,
    },
    /// A CA could not be made or read.
    #[error("cannot {action} of fleet `{fleet}`")]
    Authority {
        /// The fleet.
        fleet: FleetId,
        /// What was tried: `make the CA`.
        action: &'static str,
        /// Why.
        #[source]
        source: PkiError,
    },
    /// The system gave no randomness.
    #[error("no randomness from the system")]
    Random,
    /// A file or folder could not be read or written; the cause names it.
    #[error("cannot {action} for fleet state")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

// === impl StateError ===

impl StateError {
    pub(super) fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, source }
    }

    /// What to do about it.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::NoState { fleet, home, known } => {
                let mut hints = vec![
                    format!(
                        "if the controller of `{fleet}` is on another machine (`controller.at`), run foundry there"
                    ),
                    format!("if you have a copy of its folder, restore it: {home}/fleets/{fleet}"),
                    "if its state is lost, remove `fleet:` from the file, and take the hosts over: \
                     `foundry host bootstrap --take-over`"
                        .to_owned(),
                ];
                if !known.is_empty() {
                    let known: Vec<_> = known.iter().map(|fleet| format!("`{fleet}`")).collect();
                    hints.push(format!("fleets with state here: {}", known.join(", ")));
                }
                hints
            }
            Self::Writable { path, .. } => {
                vec![format!("take the right away: `chmod go-w {path}`")]
            }
            Self::NotOurs { .. } => {
                vec!["run this as the user who made the fleet, without sudo".to_owned()]
            }
            Self::Held { .. } => {
                vec!["end it with `foundry controller stop`, or let it serve".to_owned()]
            }
            Self::SealKey { .. } | Self::Authority { .. } => {
                vec!["restore the fleet's folder from a copy".to_owned()]
            }
            Self::Random | Self::Io { .. } => Vec::new(),
        }
    }
}
