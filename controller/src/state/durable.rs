//! Files that are either there whole, or not.

use std::io::{self, Write as _};

use camino::Utf8Path;

/// Writes a new file, 0600, and brings it to the disk.
pub(crate) fn write_private(path: &Utf8Path, content: &[u8]) -> io::Result<()> {
    let mut options = fs_err::OpenOptions::new();
    fs_err::os::unix::fs::OpenOptionsExt::mode(options.write(true).create_new(true), 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Brings a folder's entries to the disk.
pub(crate) fn sync_dir(dir: &Utf8Path) -> io::Result<()> {
    fs_err::File::open(dir)?.sync_all()
}
