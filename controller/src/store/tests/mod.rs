//! The store over a real file.

mod records;
mod sealed;

use std::sync::Arc;

use camino::Utf8PathBuf;
use tempfile::TempDir;

use super::{Repositories, SealKey, Sqlite};

/// A place for a database.
struct Place {
    _folder: TempDir,
    path: Utf8PathBuf,
}

// === impl Place ===

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("store.sqlite")).unwrap();
        Self {
            _folder: folder,
            path,
        }
    }

    fn open(&self) -> Sqlite {
        Sqlite::open(&self.path).unwrap()
    }

    fn repositories(&self) -> Repositories {
        Repositories::new(Arc::new(self.open()), SealKey::new(&[7; 32]))
    }
}
