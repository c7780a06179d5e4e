//! The real file system.

use std::io::{Read, Write};

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use foundry_proto::Digest;
use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::place::{Place, Walk, lstat, resolve};
use super::{Attributes, Content, FileKind, Files, FilesError, Ids, Stat, accounts, tree};

/// The file system beneath a folder: `/`, and another one in tests.
#[derive(Debug, Clone)]
pub struct HostFiles {
    root: Utf8PathBuf,
}

// === impl HostFiles ===

impl HostFiles {
    /// All of it.
    pub fn new() -> Self {
        Self::beneath("/")
    }

    /// With this folder as `/`.
    pub fn beneath(root: impl Into<Utf8PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Does blocking work where it may block.
    async fn blocking<T: Send + 'static>(
        &self,
        path: &Utf8Path,
        work: impl FnOnce(&Utf8Path, &Utf8Path) -> Result<T, FilesError> + Send + 'static,
    ) -> Result<T, FilesError> {
        let (root, path) = (self.root.clone(), path.to_owned());
        let at = path.clone();
        tokio::task::spawn_blocking(move || work(&root, &path))
            .await
            .map_err(|error| FilesError::io("work on", &at, std::io::Error::other(error)))?
    }
}

impl Default for HostFiles {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Files for HostFiles {
    async fn stat(&self, path: &Utf8Path) -> Result<Option<Stat>, FilesError> {
        self.blocking(path, |root, path| {
            let Some(place) = resolve(root, path, Walk::READ)? else {
                return Ok(None);
            };
            Ok(place.lstat(path)?.as_ref().map(Stat::from))
        })
        .await
    }

    async fn read(&self, path: &Utf8Path, limit: u64) -> Result<Option<Vec<u8>>, FilesError> {
        self.blocking(path, move |root, path| {
            let Some(file) = open(root, path)? else {
                return Ok(None);
            };
            let mut content = Vec::new();
            file.take(limit.saturating_add(1))
                .read_to_end(&mut content)
                .map_err(|source| FilesError::io("read", path, source))?;
            if u64::try_from(content.len()).unwrap_or(u64::MAX) > limit {
                return Err(FilesError::TooLong {
                    path: path.to_owned(),
                    limit,
                });
            }
            Ok(Some(content))
        })
        .await
    }

    async fn digest(&self, path: &Utf8Path) -> Result<Option<Digest>, FilesError> {
        self.blocking(path, |root, path| {
            let Some(mut file) = open(root, path)? else {
                return Ok(None);
            };
            let mut hash = Sha256::new();
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let length = file
                    .read(&mut buffer)
                    .map_err(|source| FilesError::io("read", path, source))?;
                match buffer.get(..length) {
                    None | Some([]) => break,
                    Some(piece) => hash.update(piece),
                }
            }
            Ok(Some(Digest::from(<[u8; 32]>::from(hash.finalize()))))
        })
        .await
    }

    async fn write(
        &self,
        path: &Utf8Path,
        content: Content,
        attributes: Attributes,
    ) -> Result<(), FilesError> {
        self.blocking(path, move |root, path| {
            let place = resolve(root, path, Walk::WRITE)?.ok_or_else(|| missing(path))?;
            place.refuse_other_than(FileKind::File, path)?;
            place
                .replace(&content, attributes)
                .map_err(|source| FilesError::io("write", path, source))
        })
        .await
    }

    async fn make_directory(
        &self,
        path: &Utf8Path,
        attributes: Attributes,
    ) -> Result<bool, FilesError> {
        self.blocking(path, move |root, path| {
            let place = resolve(root, path, Walk::WRITE)?.ok_or_else(|| missing(path))?;
            match fs::mkdirat(
                &place.folder,
                place.name.as_str(),
                Mode::from_raw_mode(0o700),
            ) {
                Ok(()) => place
                    .set(attributes)
                    .and_then(|()| fs::fsync(&place.folder))
                    .map(|()| true)
                    .map_err(|error| FilesError::io("make", path, error.into())),
                Err(Errno::EXIST) => place
                    .refuse_other_than(FileKind::Directory, path)
                    .map(|()| false),
                Err(error) => Err(FilesError::io("make", path, error.into())),
            }
        })
        .await
    }

    async fn set_attributes(
        &self,
        path: &Utf8Path,
        attributes: Attributes,
    ) -> Result<(), FilesError> {
        self.blocking(path, move |root, path| {
            let place = resolve(root, path, Walk::READ)?.ok_or_else(|| missing(path))?;
            place
                .set(attributes)
                .map_err(|error| FilesError::io("set mode and owner of", path, error.into()))
        })
        .await
    }

    async fn remove_file(&self, path: &Utf8Path) -> Result<bool, FilesError> {
        self.blocking(path, |root, path| {
            let Some(place) = resolve(root, path, Walk::REMOVE)? else {
                return Ok(false);
            };
            match place
                .lstat(path)?
                .as_ref()
                .map(|stat| Stat::from(stat).kind)
            {
                None => return Ok(false),
                Some(FileKind::Directory) => {
                    return Err(FilesError::Kind {
                        path: path.to_owned(),
                        found: FileKind::Directory,
                        wanted: FileKind::File,
                    });
                }
                Some(FileKind::File | FileKind::Link | FileKind::Other) => {}
            }
            fs::unlinkat(&place.folder, place.name.as_str(), AtFlags::empty())
                .and_then(|()| fs::fsync(&place.folder))
                .map(|()| true)
                .map_err(|error| FilesError::io("remove", path, error.into()))
        })
        .await
    }

    async fn remove_directory(&self, path: &Utf8Path) -> Result<bool, FilesError> {
        self.blocking(path, |root, path| {
            let Some(place) = resolve(root, path, Walk::REMOVE)? else {
                return Ok(true);
            };
            match fs::unlinkat(&place.folder, place.name.as_str(), AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => Ok(true),
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::BUSY) => Ok(false),
                Err(error) => Err(FilesError::io("remove", path, error.into())),
            }
        })
        .await
    }

    async fn remove_tree(&self, path: &Utf8Path) -> Result<bool, FilesError> {
        self.blocking(path, |root, path| {
            let Some(place) = resolve(root, path, Walk::REMOVE)? else {
                return Ok(false);
            };
            tree::remove(&place, path)
        })
        .await
    }

    async fn list(&self, path: &Utf8Path) -> Result<Option<Vec<String>>, FilesError> {
        self.blocking(path, |root, path| {
            let Some(place) = resolve(root, path, Walk::READ)? else {
                return Ok(None);
            };
            tree::names(&place, path)
        })
        .await
    }

    async fn ids(&self, owner: &str, group: &str) -> Result<Ids, FilesError> {
        accounts::ids(&self.root, owner, group)
    }
}

// === impl Place ===

impl Place {
    pub(super) fn lstat(&self, path: &Utf8Path) -> Result<Option<fs::Stat>, FilesError> {
        lstat(&self.folder, &self.name)
            .map_err(|error| FilesError::io("look at", path, error.into()))
    }

    fn refuse_other_than(&self, wanted: FileKind, path: &Utf8Path) -> Result<(), FilesError> {
        match self.lstat(path)?.as_ref().map(|stat| Stat::from(stat).kind) {
            Some(found) if found != wanted => Err(FilesError::Kind {
                path: path.to_owned(),
                found,
                wanted,
            }),
            _ => Ok(()),
        }
    }

    /// Puts a new file in the place of the one of this name.
    fn replace(&self, content: &Content, attributes: Attributes) -> std::io::Result<()> {
        let temporary = format!(".{}.foundry-new", self.name);
        let written = self
            .write_new(&temporary, content, attributes)
            .and_then(|()| {
                fs::renameat(&self.folder, &temporary, &self.folder, self.name.as_str())?;
                Ok(fs::fsync(&self.folder)?)
            });
        if written.is_err() {
            // Best effort: the next attempt clears it too.
            let _ = fs::unlinkat(&self.folder, &temporary, AtFlags::empty());
        }
        written
    }

    fn write_new(
        &self,
        name: &str,
        content: &Content,
        attributes: Attributes,
    ) -> std::io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let create = || fs::openat(&self.folder, name, flags, Mode::from_raw_mode(0o600));
        let fd = match create() {
            // Left by an attempt that was cut off.
            Err(Errno::EXIST) => {
                fs::unlinkat(&self.folder, name, AtFlags::empty())?;
                create()?
            }
            other => other?,
        };
        let mut file = std::fs::File::from(fd);
        match content {
            Content::Bytes(bytes) => file.write_all(bytes)?,
            Content::CopyOf(source) => {
                let mut source = fs_err::File::open(source)?;
                std::io::copy(&mut source, &mut file)?;
            }
        }
        own(&file, attributes)?;
        Ok(fs::fsync(&file)?)
    }

    fn set(&self, attributes: Attributes) -> Result<(), Errno> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        own(
            fs::openat(&self.folder, self.name.as_str(), flags, Mode::empty())?,
            attributes,
        )
    }
}

// === impl Stat ===

impl From<&fs::Stat> for Stat {
    fn from(stat: &fs::Stat) -> Self {
        let ids = Ids {
            uid: stat.st_uid,
            gid: stat.st_gid,
        };
        let attributes = Attributes {
            mode: stat.st_mode & 0o7777,
            ids,
        };
        Self {
            kind: FileKind::from_mode(stat.st_mode),
            attributes,
            size: u64::try_from(stat.st_size).unwrap_or(0),
        }
    }
}

/// Owner first: changing it clears the set-id bits.
fn own(file: impl std::os::fd::AsFd, attributes: Attributes) -> Result<(), Errno> {
    let now = Stat::from(&fs::fstat(&file)?).attributes;
    if now.ids != attributes.ids {
        let uid = fs::Uid::from_raw(attributes.ids.uid);
        let gid = fs::Gid::from_raw(attributes.ids.gid);
        fs::fchown(&file, Some(uid), Some(gid))?;
    }
    if now != attributes {
        fs::fchmod(&file, Mode::from_raw_mode(attributes.mode & 0o7777))?;
    }
    Ok(())
}

/// The file, opened for reading; none: there is none.
fn open(root: &Utf8Path, path: &Utf8Path) -> Result<Option<std::fs::File>, FilesError> {
    let Some(place) = resolve(root, path, Walk::READ)? else {
        return Ok(None);
    };
    place.refuse_other_than(FileKind::File, path)?;
    // NONBLOCK: a pipe that took the file's place meanwhile must not hold us.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match fs::openat(&place.folder, place.name.as_str(), flags, Mode::empty()) {
        Ok(fd) => Ok(Some(fd.into())),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(FilesError::io("open", path, error.into())),
    }
}

fn missing(path: &Utf8Path) -> FilesError {
    FilesError::io("find", path, std::io::ErrorKind::NotFound.into())
}
