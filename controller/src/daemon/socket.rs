//! The operator's socket. Only the holder of the fleet's lock comes here, so whatever lies in its place is stale.

use std::io;
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use tokio::net::UnixListener;

use super::DaemonError;
use crate::state::{LONGEST_SOCKET_PATH, Paths};

/// The socket, open.
pub(super) struct Socket {
    pub(super) listener: UnixListener,
    pub(super) path: Utf8PathBuf,
}

/// Opens the socket: in the fleet's folder, or where that path is too long, in a new folder of our own whose name is
/// written down beside the lock.
pub(super) fn bind(paths: &Paths) -> Result<Socket, DaemonError> {
    let usual = paths.socket();
    let fits = usual.as_str().len() <= LONGEST_SOCKET_PATH;
    let place = if fits {
        forget_pointer(paths).map(|()| usual.clone())
    } else {
        elsewhere(paths)
    };
    let bound = place.and_then(|path| {
        remove_file(&path)?;
        let listener = UnixListener::bind(&path)?;
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Socket { listener, path })
    });
    bound.map_err(|source| DaemonError::Socket {
        path: usual,
        source,
    })
}

/// Takes the socket away, so that the next command does not try it.
pub(super) fn remove(paths: &Paths, path: &Utf8Path) {
    let removed = remove_file(path).and_then(|()| forget_pointer(paths));
    if let Err(error) = removed {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "socket not removed"
        );
    }
    if *path != paths.socket()
        && let Some(folder) = path.parent()
    {
        let _ = fs_err::remove_dir(folder);
    }
}

fn elsewhere(paths: &Paths) -> io::Result<Utf8PathBuf> {
    let recorded = paths.socket_to_dial();
    if recorded != paths.socket() {
        remove_file(&recorded)?;
        if let Some(folder) = recorded.parent() {
            let _ = fs_err::remove_dir(folder);
        }
    }
    // 0700, with a random name: nobody can have made it before us.
    let folder = tempfile::Builder::new()
        .prefix("foundry-")
        .tempdir()?
        .keep();
    let path = Utf8PathBuf::from_path_buf(folder.join("controller.sock"))
        .map_err(|path| io::Error::other(format!("{} is not UTF-8", path.display())))?;
    fs_err::write(paths.socket_pointer(), path.as_str())?;
    Ok(path)
}

fn forget_pointer(paths: &Paths) -> io::Result<()> {
    remove_file(&paths.socket_pointer())
}

fn remove_file(path: &Utf8Path) -> io::Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
