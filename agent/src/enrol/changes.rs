//! Changes to files that are undone together when one of them, or what follows, fails.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;

use crate::config::write_atomically;

/// Changes that were made, each with what was there before.
#[derive(Default)]
pub(super) struct Changes {
    made: Vec<(Utf8PathBuf, Before)>,
}

enum Before {
    Nothing,
    /// There was no folder.
    NoFolder,
    File {
        mode: u32,
        content: zeroize::Zeroizing<Vec<u8>>,
    },
    Link(Utf8PathBuf),
    /// It was a folder, and is now under this name.
    Moved(Utf8PathBuf),
}

// === impl Changes ===

impl Changes {
    /// Replaces a file.
    pub(super) fn write(&mut self, path: &Utf8Path, mode: u32, content: &[u8]) -> io::Result<()> {
        self.remember(path)?;
        write_atomically(path, mode, content)
    }

    /// Notes what is at the path, which somebody else is about to replace.
    pub(super) fn remember(&mut self, path: &Utf8Path) -> io::Result<()> {
        let before = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Before::Nothing,
            Err(error) => return Err(error),
            Ok(metadata) if metadata.is_symlink() => Before::Link(path.read_link_utf8()?),
            Ok(metadata) => Before::File {
                mode: metadata.permissions().mode() & 0o7777,
                content: fs::read(path)?.into(),
            },
        };
        self.made.push((path.to_owned(), before));
        Ok(())
    }

    /// Points a link to the target, in one step.
    pub(super) fn link(&mut self, path: &Utf8Path, target: &Utf8Path) -> io::Result<()> {
        self.remember(path)?;
        link_atomically(path, target)
    }

    /// Makes a folder, and those that it lies in, where they are missing.
    pub(super) fn make_folder(&mut self, path: &Utf8Path, mode: u32) -> io::Result<()> {
        let missing: Vec<_> = path
            .ancestors()
            .take_while(|folder| !folder.exists())
            .collect();
        for folder in missing.into_iter().rev() {
            self.made.push((folder.to_owned(), Before::NoFolder));
        }
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(path)
    }

    /// Moves a folder out of the way, where it is there.
    pub(super) fn set_aside(&mut self, path: &Utf8Path, aside: &Utf8Path) -> io::Result<()> {
        if !path.exists() {
            return Ok(());
        }
        remove_all(aside)?;
        fs::rename(path, aside)?;
        self.made
            .push((path.to_owned(), Before::Moved(aside.to_owned())));
        Ok(())
    }

    /// Undoes everything, as far as it goes.
    pub(super) fn undo(self) {
        for (path, before) in self.made.into_iter().rev() {
            let undone = match before {
                Before::Nothing => fs::remove_file(&path),
                // Only where nothing else is in it by now.
                Before::NoFolder => fs::remove_dir(&path),
                Before::File { mode, content } => write_atomically(&path, mode, &content),
                Before::Link(target) => link_atomically(&path, &target),
                Before::Moved(aside) => remove_all(&path).and_then(|()| fs::rename(&aside, &path)),
            };
            match undone {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%error, "a change is not undone");
                }
                Ok(()) | Err(_) => {}
            }
        }
    }
}

fn link_atomically(path: &Utf8Path, target: &Utf8Path) -> io::Result<()> {
    let new = Utf8PathBuf::from(format!("{path}.new"));
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    fs_err::os::unix::fs::symlink(target, &new)?;
    fs::rename(new, path)
}

fn remove_all(path: &Utf8Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;

    use super::Changes;

    #[test]
    fn what_was_changed_goes_back_to_what_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        let (old, new, link) = (root.join("old"), root.join("new"), root.join("link"));
        let (state, aside) = (root.join("state"), root.join("aside"));
        fs_err::write(&old, "before").unwrap();
        fs_err::create_dir(&state).unwrap();
        fs_err::write(state.join("record"), "kept").unwrap();
        fs_err::os::unix::fs::symlink("a", &link).unwrap();

        let mut changes = Changes::default();
        changes.write(&old, 0o600, b"after").unwrap();
        changes.write(&new, 0o600, b"after").unwrap();
        changes.link(&link, Utf8Path::new("b")).unwrap();
        changes.set_aside(&state, &aside).unwrap();
        let (mine, shared) = (root.join("a/b"), root.join("c/d"));
        changes.make_folder(&mine, 0o700).unwrap();
        changes.make_folder(&shared, 0o700).unwrap();
        fs_err::write(root.join("c/other"), "not ours").unwrap();
        assert_eq!(link.read_link_utf8().unwrap(), "b");
        changes.undo();

        assert_eq!(fs_err::read_to_string(&old).unwrap(), "before");
        assert!(!new.exists());
        assert_eq!(link.read_link_utf8().unwrap(), "a");
        assert_eq!(
            fs_err::read_to_string(state.join("record")).unwrap(),
            "kept"
        );
        assert!(!aside.exists());
        assert!(!root.join("a").exists());
        assert!(!shared.exists() && root.join("c/other").exists());
    }
}
