//! Changes to a file that keep everything else as it was: comments, order, quotes, anchors, line ends.
//!
//! Each edit finds its places in the tree and splices the text there. The result is read again and must say exactly what
//! was asked for, else it is not returned: a clumsy splice ends in a refusal, never in a file that means something else.

mod fleet;
mod host;
mod plain;
mod splice;

use crate::{Address, FleetName, Hostname, SpecError, parse};
pub(crate) use host::block;
use plain::Plain;
use splice::Splices;

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
    /// The place cannot be changed without a decision, or without touching more than it.
    #[error("line {line} is for a person to change: {why}")]
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
    let file = File::read(source)?;
    let splices = fleet::set(&file, fleet)?;
    file.apply(splices, |wanted| {
        wanted.set("fleet", Plain::string(fleet.as_str()))
    })
}

/// The text with a host added at the end of `hosts:`.
///
/// # Errors
///
/// See [`EditError`].
pub fn add_host(source: &str, host: &NewHost) -> Result<String, EditError> {
    let file = File::read(source)?;
    let splices = host::add(&file, host)?;
    file.apply(splices, |wanted| {
        if let Some(hosts) = wanted.list("hosts") {
            hosts.push(Plain::host(host));
        }
    })
}

/// The text without a host, and without its name where services and components list it.
///
/// # Errors
///
/// See [`EditError`]. A service that runs on this host alone is [`EditError::Untouchable`].
pub fn remove_host(source: &str, hostname: &str) -> Result<String, EditError> {
    let file = File::read(source)?;
    let splices = host::remove(&file, hostname)?;
    file.apply(splices, |wanted| wanted.remove_host(hostname))
}

/// A valid file.
struct File<'s> {
    source: &'s str,
    root: crate::tree::Node,
}

// === impl File ===

impl<'s> File<'s> {
    fn read(source: &'s str) -> Result<Self, EditError> {
        parse(source, FILE).map_err(EditError::Before)?;
        // What was just read can be read.
        let root = crate::tree::build(source).map_err(|_| EditError::Before(Vec::new()))?;
        Ok(Self { source, root })
    }

    /// Makes the changes, and proves that they make the difference that was asked for and no other.
    fn apply(&self, splices: Splices, ask: impl FnOnce(&mut Plain)) -> Result<String, EditError> {
        let text = splices.apply(self.source);
        parse(&text, FILE).map_err(EditError::After)?;
        let mut wanted = Plain::of(&self.root);
        ask(&mut wanted);
        let written = crate::tree::build(&text).map(|root| Plain::of(&root));
        if written.is_ok_and(|written| written == wanted) {
            return Ok(text);
        }
        let why = "it is written in an unusual way, and an edit would change more than was asked";
        Err(EditError::Untouchable {
            line: self.line(splices.first()),
            why,
        })
    }

    fn line(&self, offset: usize) -> usize {
        crate::report::position(self.source, offset).0
    }

    fn untouchable(&self, offset: usize, why: &'static str) -> EditError {
        EditError::Untouchable {
            line: self.line(offset),
            why,
        }
    }
}

/// How errors call the file; the caller knows its name.
const FILE: &str = "stack.yaml";
