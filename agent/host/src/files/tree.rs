//! Folders as a whole: what is in them, and their removal.

use std::os::fd::OwnedFd;

use camino::Utf8Path;
use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::place::{Place, lstat};
use super::{FileKind, FilesError};

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// The names in the folder, sorted; none: there is no folder. Names that are no UTF-8 are left out.
pub(super) fn names(place: &Place, path: &Utf8Path) -> Result<Option<Vec<String>>, FilesError> {
    match fs::openat(&place.folder, place.name.as_str(), FOLDER, Mode::empty()) {
        Ok(folder) => {
            let names = entries(&folder).map_err(|error| list_error(path, error))?;
            let mut names: Vec<String> = names
                .into_iter()
                .filter_map(|name| name.into_string().ok())
                .collect();
            names.sort();
            Ok(Some(names))
        }
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(list_error(path, error)),
    }
}

/// Removes what is there with all that is in it; another file system mounted within stops it. Returns whether anything was
/// there.
pub(super) fn remove(place: &Place, path: &Utf8Path) -> Result<bool, FilesError> {
    let error = |error: Errno| FilesError::io("remove", path, error.into());
    let Some(stat) = lstat(&place.folder, &place.name).map_err(error)? else {
        return Ok(false);
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(FilesError::Kind {
            path: path.to_owned(),
            found: FileKind::from_mode(stat.st_mode),
            wanted: FileKind::Directory,
        });
    }
    let folder =
        fs::openat(&place.folder, place.name.as_str(), FOLDER, Mode::empty()).map_err(error)?;
    let device = fs::fstat(&folder).map_err(error)?.st_dev;
    if fs::fstat(&place.folder).map_err(error)?.st_dev != device {
        return Err(error(Errno::XDEV));
    }
    empty(&folder, device).map_err(error)?;
    fs::unlinkat(&place.folder, place.name.as_str(), AtFlags::REMOVEDIR).map_err(error)?;
    fs::fsync(&place.folder).map_err(error)?;
    Ok(true)
}

/// Removes all that is in the folder.
fn empty(folder: &OwnedFd, device: u64) -> Result<(), Errno> {
    for name in entries(folder)? {
        match fs::unlinkat(folder, &name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => continue,
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(error) => return Err(error),
        }
        let inner = fs::openat(folder, &name, FOLDER, Mode::empty())?;
        if fs::fstat(&inner)?.st_dev != device {
            return Err(Errno::XDEV);
        }
        empty(&inner, device)?;
        fs::unlinkat(folder, &name, AtFlags::REMOVEDIR)?;
    }
    Ok(())
}

fn entries(folder: &OwnedFd) -> Result<Vec<std::ffi::CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    Ok(names)
}

fn list_error(path: &Utf8Path, error: Errno) -> FilesError {
    FilesError::io("list", path, error.into())
}
