//! Where a path leads, without passing anything that someone else than root could swap.
//!
//! Every folder on the way is opened from the one before, without following links; a link is checked, read, and its target
//! walked from the root anew. What is returned is the last folder, held open, and the name in it, so that nothing can be
//! swapped between the check and the use.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{self, AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::{FileKind, FilesError};

/// The most links that are followed on one way.
const MOST_LINKS: usize = 40;

/// A name in a folder that is held open.
pub(super) struct Place {
    /// The folder.
    pub(super) folder: OwnedFd,
    /// The name in it; never a link, where links at the end are followed.
    pub(super) name: String,
}

/// How a path is walked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk {
    /// A link at the end is followed, where root owns it.
    pub(super) follow_last: bool,
    /// Missing folders on the way are made, root's, 0755.
    pub(super) make_parents: bool,
}

impl Walk {
    pub(super) const READ: Self = Self {
        follow_last: true,
        make_parents: false,
    };
    pub(super) const WRITE: Self = Self {
        follow_last: true,
        make_parents: true,
    };
    pub(super) const REMOVE: Self = Self {
        follow_last: false,
        make_parents: false,
    };
}

enum Step {
    Arrived(Place),
    Missing,
    Link { target: Utf8PathBuf },
}

/// Where `path` leads beneath `root`; none: a folder on the way is missing.
pub(super) fn resolve(
    root: &Utf8Path,
    path: &Utf8Path,
    walk: Walk,
) -> Result<Option<Place>, FilesError> {
    let mut way = plain(path)?;
    for _ in 0..MOST_LINKS {
        match step(root, path, &way, walk)? {
            Step::Arrived(place) => return Ok(Some(place)),
            Step::Missing => return Ok(None),
            Step::Link { target } => way = normal(&target),
        }
    }
    Err(FilesError::Unsafe {
        path: path.to_owned(),
        part: path.to_owned(),
        reason: "leads through too many links",
    })
}

/// Walks until the end or the first link.
fn step(root: &Utf8Path, path: &Utf8Path, way: &[String], walk: Walk) -> Result<Step, FilesError> {
    let io = |source: Errno| FilesError::io("open", path, source.into());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut folder = fs::openat(CWD, root.as_str(), flags, Mode::empty()).map_err(io)?;
    let Some((last, parents)) = way.split_last() else {
        return Ok(Step::Arrived(Place {
            folder,
            name: ".".to_owned(),
        }));
    };
    let mut here = Utf8PathBuf::from("/");
    for (index, name) in way.iter().enumerate() {
        let is_last = index == parents.len();
        if is_last && !walk.follow_last {
            break;
        }
        let found = lstat(&folder, name).map_err(io)?;
        let kind = found
            .as_ref()
            .map(|stat| FileType::from_raw_mode(stat.st_mode));
        let part = here.join(name);
        if let (Some(FileType::Symlink), Some(stat)) = (kind, &found) {
            if !is_trusted(stat.st_uid) {
                return Err(unsafe_part(path, part, "is a link that root does not own"));
            }
            let target = read_link(&folder, name).map_err(io)?;
            let rest = way
                .iter()
                .skip(index + 1)
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join("/");
            return Ok(Step::Link {
                target: here.join(target).join(rest),
            });
        }
        if is_last {
            break;
        }
        if found.is_none() {
            if !walk.make_parents {
                return Ok(Step::Missing);
            }
            make_folder(&folder, name).map_err(io)?;
        }
        folder = fs::openat(
            &folder,
            name.as_str(),
            flags | OFlags::NOFOLLOW,
            Mode::empty(),
        )
        .map_err(|error| match error {
            Errno::NOTDIR | Errno::LOOP => FilesError::Kind {
                path: part.clone(),
                found: FileKind::Other,
                wanted: FileKind::Directory,
            },
            other => io(other),
        })?;
        let opened = fs::fstat(&folder).map_err(io)?;
        if let Some(reason) = distrust(&opened) {
            return Err(unsafe_part(path, part, reason));
        }
        here = part;
    }
    Ok(Step::Arrived(Place {
        folder,
        name: last.clone(),
    }))
}

/// What is at the name, itself where it is a link.
pub(super) fn lstat(folder: &OwnedFd, name: &str) -> Result<Option<Stat>, Errno> {
    match fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_link(folder: &OwnedFd, name: &str) -> Result<Utf8PathBuf, Errno> {
    let target = fs::readlinkat(folder, name, Vec::new())?;
    let target = OsStr::from_bytes(target.as_bytes());
    Utf8PathBuf::from_os_string(target.to_owned()).map_err(|_| Errno::ILSEQ)
}

fn make_folder(parent: &OwnedFd, name: &str) -> Result<(), Errno> {
    match fs::mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
        // The umask may have taken bits away.
        Ok(()) => fs::chmodat(parent, name, Mode::from_raw_mode(0o755), AtFlags::empty())?,
        Err(Errno::EXIST) => {}
        Err(error) => return Err(error),
    }
    fs::fsync(parent)
}

/// Why a folder on the way is not passed.
fn distrust(folder: &Stat) -> Option<&'static str> {
    let mode = folder.st_mode;
    let sticky = mode & 0o1000 != 0;
    if !is_trusted(folder.st_uid) {
        Some("is not root's")
    } else if mode & 0o002 != 0 && !sticky {
        Some("can be written by everyone")
    } else if mode & 0o020 != 0 && folder.st_gid != 0 && !sticky {
        Some("can be written by its group")
    } else {
        None
    }
}

/// Root, or who we are: an agent under test is not root.
fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

fn unsafe_part(path: &Utf8Path, part: Utf8PathBuf, reason: &'static str) -> FilesError {
    FilesError::Unsafe {
        path: path.to_owned(),
        part,
        reason,
    }
}

/// The names of an absolute path without `..`.
fn plain(path: &Utf8Path) -> Result<Vec<String>, FilesError> {
    let odd = !path.is_absolute()
        || path.as_str().contains('\0')
        || path
            .components()
            .any(|part| part == camino::Utf8Component::ParentDir);
    if odd {
        Err(FilesError::NotPlain(path.to_owned()))
    } else {
        Ok(normal(path))
    }
}

/// The names of an absolute path; `..` takes one back, for what stands before it holds no link.
fn normal(path: &Utf8Path) -> Vec<String> {
    let mut names = Vec::new();
    for part in path.components() {
        match part {
            camino::Utf8Component::Normal(name) => names.push(name.to_owned()),
            camino::Utf8Component::ParentDir => {
                names.pop();
            }
            camino::Utf8Component::Prefix(_)
            | camino::Utf8Component::RootDir
            | camino::Utf8Component::CurDir => {}
        }
    }
    names
}
