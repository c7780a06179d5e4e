//! A fleet's folder is only as safe as every folder above it.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};

use camino::Utf8Path;

use super::error::StateError;

const WRITE_BY_OTHERS: u32 = 0o002;
const WRITE_BY_GROUP: u32 = 0o020;
const STICKY: u32 = 0o1000;

/// Makes the folder of fleets, 0700, where it is missing.
pub(super) fn make_private(dir: &Utf8Path) -> Result<(), StateError> {
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir);
    made.map_err(|error| io::Error::new(error.kind(), format!("{dir}: {error}")))
        .map_err(StateError::io("make a folder"))
}

/// Refuses a folder below another that any user may write to. A sticky one, as /tmp, is good: there nobody can rename
/// what belongs to another.
pub(super) fn refuse_open_parents(dir: &Utf8Path) -> Result<(), StateError> {
    let whole = dir
        .canonicalize_utf8()
        .map_err(StateError::io("resolve a path"))?;
    for parent in whole.ancestors().skip(1) {
        let mode = fs_err::metadata(parent)
            .map_err(StateError::io("inspect a folder"))?
            .mode();
        if mode & WRITE_BY_OTHERS != 0 && mode & STICKY == 0 {
            return Err(StateError::Writable {
                path: parent.to_owned(),
                mode: mode & 0o7777,
            });
        }
    }
    Ok(())
}

/// Refuses a folder that belongs to another user, or that any other may write to.
pub(super) fn refuse_open(dir: &Utf8Path) -> Result<(), StateError> {
    let metadata = fs_err::metadata(dir).map_err(StateError::io("inspect a folder"))?;
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user {
        return Err(StateError::NotOurs {
            path: dir.to_owned(),
            owner: metadata.uid(),
            user,
        });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & (WRITE_BY_OTHERS | WRITE_BY_GROUP) != 0 {
        return Err(StateError::Writable {
            path: dir.to_owned(),
            mode,
        });
    }
    Ok(())
}
