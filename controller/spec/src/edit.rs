//! Changes to a file that keep everything else as it was: comments, order, quotes, anchors, line ends.

use crate::{Address, FleetName, Hostname, SpecError};

/// A host to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewHost {
    /// Not yet in the file.
    pub hostname: Hostname,
    /// No other host's.
    pub address: Address,
    /// Left out: ssh decides.
    pub user: Option<String>,
    /// Left out: ssh decides.
    pub port: Option<u16>,
}

/// Why an edit was not made. The file is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The file was not valid before.
    #[error("the file has errors: they must be put right first")]
    Before(Vec<SpecError>),
    /// The edit would make it invalid.
    #[error("the file would have errors after this change")]
    After(Vec<SpecError>),
    /// There is no such host.
    #[error("the file has no host `{name}`")]
    NoSuchHost {
        /// As asked for.
        name: String,
        /// One that is there and looks alike.
        nearest: Option<String>,
    },
    /// The place is written in a way that cannot be edited without touching more than it.
    #[error("line {line} is written in a way that only a person should change: {why}")]
    Untouchable {
        /// From 1.
        line: usize,
        /// What is in the way.
        why: &'static str,
    },
}

/// The text with `fleet:` set.
///
/// # Errors
///
/// See [`EditError`].
pub fn set_fleet(source: &str, fleet: &FleetName) -> Result<String, EditError> {
    let _ = (source, fleet);
    Err(EditError::Before(Vec::new()))
}

/// The text with a host added at the end of `hosts:`.
///
/// # Errors
///
/// See [`EditError`].
pub fn add_host(source: &str, host: &NewHost) -> Result<String, EditError> {
    let _ = (source, host);
    Err(EditError::Before(Vec::new()))
}

/// The text without a host, and without its name where services and components list it.
///
/// # Errors
///
/// See [`EditError`].
pub fn remove_host(source: &str, hostname: &str) -> Result<String, EditError> {
    let _ = (source, hostname);
    Err(EditError::Before(Vec::new()))
}
