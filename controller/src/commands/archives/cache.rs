//! What was found in archives, kept until they change.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::contents::{self, Contents, ContentsError};
use crate::state::Paths;

/// Contents by path; empty and unsaved where there is no fleet yet.
#[derive(Debug, Default)]
pub(super) struct Cache {
    file: Option<Utf8PathBuf>,
    entries: BTreeMap<Utf8PathBuf, Entry>,
    changed: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    stamp: Stamp,
    digest: String,
    identities: Vec<String>,
    references: Vec<String>,
}

/// What changes when a file does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    size: u64,
    modified: i64,
    modified_ns: i64,
    changed: i64,
    changed_ns: i64,
    inode: u64,
    device: u64,
}

// === impl Cache ===

impl Cache {
    /// What is kept for this fleet. A file that cannot be read is as good as none.
    pub(super) fn open(fleet: &Paths) -> Self {
        let file = fleet.dir().join("archives.json");
        let entries = fs_err::read(&file)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok());
        Self {
            file: Some(file),
            entries: entries.unwrap_or_default(),
            changed: false,
        }
    }

    /// What this archive holds.
    pub(super) fn contents(&mut self, path: &Utf8Path) -> Result<Contents, ContentsError> {
        let open = |source| ContentsError::Open {
            path: path.to_owned(),
            source,
        };
        let whole = path.canonicalize_utf8().map_err(open)?;
        let stamp = Stamp::of(&whole).map_err(open)?;
        let known = self
            .entries
            .get(&whole)
            .filter(|entry| entry.stamp == stamp);
        if let Some(contents) = known.and_then(Entry::contents) {
            return Ok(contents);
        }
        let contents = contents::read(path)?;
        // A file that changed while it was read is read again next time.
        if Stamp::of(&whole).is_ok_and(|after| after == stamp) {
            let entry = Entry {
                stamp,
                digest: contents.digest.to_string(),
                identities: contents.identities.clone(),
                references: contents.references.clone(),
            };
            self.entries.insert(whole, entry);
            self.changed = true;
        }
        Ok(contents)
    }

    /// Keeps it; why it could not be kept.
    pub(super) fn save(&self) -> Option<io::Error> {
        let file = self.file.as_ref().filter(|_| self.changed)?;
        put(file, &self.entries).err()
    }
}

fn put(file: &Utf8Path, entries: &BTreeMap<Utf8PathBuf, Entry>) -> io::Result<()> {
    let mut draft = tempfile::NamedTempFile::new_in(file.parent().unwrap_or(Utf8Path::new(".")))?;
    draft.write_all(&serde_json::to_vec(entries)?)?;
    draft.persist(file).map(drop).map_err(|error| error.error)
}

// === impl Entry ===

impl Entry {
    fn contents(&self) -> Option<Contents> {
        Some(Contents {
            digest: self.digest.parse().ok()?,
            size: self.stamp.size,
            identities: self.identities.clone(),
            references: self.references.clone(),
        })
    }
}

// === impl Stamp ===

impl Stamp {
    fn of(path: &Utf8Path) -> io::Result<Self> {
        let metadata = fs_err::metadata(path)?;
        Ok(Self {
            size: metadata.size(),
            modified: metadata.mtime(),
            modified_ns: metadata.mtime_nsec(),
            changed: metadata.ctime(),
            changed_ns: metadata.ctime_nsec(),
            inode: metadata.ino(),
            device: metadata.dev(),
        })
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;

    use super::{Cache, Entry, Stamp};
    use crate::state::Paths;

    #[test]
    fn an_archive_that_did_not_change_is_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let home = Utf8Path::from_path(folder.path()).unwrap();
        let paths = Paths::new(home, &"demo-1a2b3c".parse().unwrap());
        fs_err::create_dir_all(paths.dir()).unwrap();
        let archive = home.join("not-an-archive.tar");
        fs_err::write(&archive, "no tar at all").unwrap();

        let mut cache = Cache::open(&paths);
        assert!(cache.contents(&archive).is_err());
        let stamp = Stamp::of(&archive).unwrap();
        let digest = "ab".repeat(32);
        let entry = Entry {
            stamp,
            digest: digest.clone(),
            identities: vec![],
            references: vec![],
        };
        cache
            .entries
            .insert(archive.canonicalize_utf8().unwrap(), entry);
        cache.changed = true;
        assert!(cache.save().is_none());

        let mut cache = Cache::open(&paths);
        assert_eq!(cache.contents(&archive).unwrap().digest.to_string(), digest);
        fs_err::write(&archive, "something else").unwrap();
        assert!(cache.contents(&archive).is_err());
    }
}
