//! The file system, with the care that a root process owes it.
//!
//! * A file is replaced whole: a temporary file beside it, fsync, rename, fsync of the folder.
//! * Links on the way are followed only where root owns them.
//! * A path is refused where someone else than root could swap a part of it: a folder on the way that is not owned by
//!   root, or that group or others may write to. In a sticky folder (`/tmp`) others can make names but not swap ours, so
//!   it is passed: what they made there is not root's, and refused for that.
//! * Users and groups come from `/etc/passwd` and `/etc/group`, never from NSS.

mod accounts;
mod host;
mod place;
#[cfg(test)]
mod tests;
mod tree;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use foundry_proto::Digest;
use rustix::fs::FileType;

pub use host::HostFiles;

use crate::exec::Ids;

/// The file system of the host. All paths are absolute.
#[async_trait]
pub trait Files: Send + Sync {
    /// What is at the path; none: nothing. The last name is not followed where it is a link.
    async fn stat(&self, path: &Utf8Path) -> Result<Option<Stat>, FilesError>;

    /// The file's content; none: there is no file. One longer than `limit` bytes is an error.
    async fn read(&self, path: &Utf8Path, limit: u64) -> Result<Option<Vec<u8>>, FilesError>;

    /// SHA-256 of the file's content; none: there is no file.
    async fn digest(&self, path: &Utf8Path) -> Result<Option<Digest>, FilesError>;

    /// Replaces the file in one step. Missing parents are made, root's, 0755.
    async fn write(
        &self,
        path: &Utf8Path,
        content: Content,
        attributes: Attributes,
    ) -> Result<(), FilesError>;

    /// Makes the folder and its missing parents (those root's, 0755). One that is there is left as it is.
    /// Returns whether it was made.
    async fn make_directory(
        &self,
        path: &Utf8Path,
        attributes: Attributes,
    ) -> Result<bool, FilesError>;

    /// Sets mode and owner of a file or folder that is there.
    async fn set_attributes(
        &self,
        path: &Utf8Path,
        attributes: Attributes,
    ) -> Result<(), FilesError>;

    /// Removes a file or a link. Returns whether it was there.
    async fn remove_file(&self, path: &Utf8Path) -> Result<bool, FilesError>;

    /// Removes a folder that is empty. Returns whether it is gone.
    async fn remove_directory(&self, path: &Utf8Path) -> Result<bool, FilesError>;

    /// Removes a folder with all that is in it, following no link.
    async fn remove_tree(&self, path: &Utf8Path) -> Result<bool, FilesError>;

    /// The names in a folder, sorted; none: there is no folder.
    async fn list(&self, path: &Utf8Path) -> Result<Option<Vec<String>>, FilesError>;

    /// The ids of a user and a group given as names or numbers; empty: root.
    async fn ids(&self, owner: &str, group: &str) -> Result<Ids, FilesError>;
}

/// What a file is to hold.
#[derive(Debug, Clone)]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The bytes of this file, which is outside any root that the adapter was given.
    CopyOf(Utf8PathBuf),
}

/// Mode and owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits, at most 0o7777.
    pub mode: u32,
    /// User and group.
    pub ids: Ids,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Its kind.
    pub kind: FileKind,
    /// Mode and owner.
    pub attributes: Attributes,
    /// Bytes.
    pub size: u64,
}

/// What kind of thing is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Directory,
    /// A symbolic link.
    Link,
    /// A device, a socket, a pipe.
    Other,
}

/// What went wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// Not absolute, or with `..` in it.
    #[error("`{0}` is not a plain absolute path")]
    NotPlain(Utf8PathBuf),
    /// Someone else than root could swap a part of the path.
    #[error("{path} is refused: {part} {reason}")]
    Unsafe {
        /// The path that was asked for.
        path: Utf8PathBuf,
        /// The folder or link on the way.
        part: Utf8PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Something of another kind is there.
    #[error("{path} is {found}, not {wanted}")]
    Kind {
        /// The path.
        path: Utf8PathBuf,
        /// What is there.
        found: FileKind,
        /// What should be.
        wanted: FileKind,
    },
    /// The file is longer than what may be read.
    #[error("{path} is longer than {limit} bytes")]
    TooLong {
        /// The file.
        path: Utf8PathBuf,
        /// The most that is read.
        limit: u64,
    },
    /// No such user or group.
    #[error("no {what} `{name}` in {file}")]
    NoSuchName {
        /// `user` or `group`.
        what: &'static str,
        /// The name.
        name: String,
        /// Where it was looked for.
        file: &'static str,
    },
    /// The system refused.
    #[error("cannot {action} {path}")]
    Io {
        /// What was to be done.
        action: &'static str,
        /// The path.
        path: Utf8PathBuf,
        /// Why it was not.
        #[source]
        source: std::io::Error,
    },
}

// === impl Attributes ===

impl Attributes {
    /// Root's, with this mode.
    pub fn root(mode: u32) -> Self {
        Self {
            mode,
            ids: Ids::default(),
        }
    }
}

// === impl FilesError ===

impl FilesError {
    pub(crate) fn io(action: &'static str, path: &Utf8Path, source: std::io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

// === impl FileKind ===

impl FileKind {
    fn from_mode(mode: u32) -> Self {
        match FileType::from_raw_mode(mode) {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Link,
            FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => Self::Other,
        }
    }
}

impl std::fmt::Display for FileKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::File => "a file",
            Self::Directory => "a folder",
            Self::Link => "a symbolic link",
            Self::Other => "a device, socket or pipe",
        })
    }
}
