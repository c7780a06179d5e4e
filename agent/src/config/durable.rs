//! Files that are either the old ones or the new ones, whenever the power goes.

use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use camino::Utf8Path;
use fs_err as fs;

/// Replaces the file: written beside it with this mode, synced, renamed over it, the folder synced.
pub(crate) fn write_atomically(path: &Utf8Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let folder = path
        .parent()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let temporary = folder.join(format!(".{}.new", path.file_name().unwrap_or_default()));
    let written = write_new(&temporary, mode, content)
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| fs::File::open(folder)?.sync_all());
    if written.is_err() {
        // The old file stands; what was begun beside it must not fill the disk.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write_new(path: &Utf8Path, mode: u32, content: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    let mut file = fs::OpenOptions::from_options(options).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}
