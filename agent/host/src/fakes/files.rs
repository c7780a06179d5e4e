use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use foundry_proto::Digest;

use super::lock;
use crate::exec::Ids;
use crate::files::{Attributes, Content, FileKind, Files, FilesError, Stat};

/// Files and folders in memory. There are no links. Content that is a copy of a file is read from the real file system.
pub struct FakeFiles {
    nodes: Mutex<BTreeMap<Utf8PathBuf, Node>>,
    writes: Mutex<u64>,
}

#[derive(Clone)]
struct Node {
    attributes: Attributes,
    /// None: a folder.
    content: Option<Vec<u8>>,
}

// === impl FakeFiles ===

impl FakeFiles {
    pub(super) fn new() -> Self {
        let files = Self {
            nodes: Mutex::default(),
            writes: Mutex::default(),
        };
        files.make_parents(Utf8Path::new("/x"));
        files
    }

    /// Puts a file there, root's, 0644.
    pub fn put(&self, path: &str, content: &str) {
        self.make_parents(Utf8Path::new(path));
        self.insert(
            Utf8Path::new(path),
            Attributes::root(0o644),
            Some(content.into()),
        );
    }

    /// The file's content as text.
    pub fn text(&self, path: impl AsRef<Utf8Path>) -> Option<String> {
        let content = self.node(path.as_ref())?.content?;
        Some(String::from_utf8_lossy(&content).into_owned())
    }

    /// Every file with its content.
    pub fn all(&self) -> Vec<(Utf8PathBuf, Vec<u8>)> {
        let nodes = lock(&self.nodes);
        nodes
            .iter()
            .filter_map(|(path, node)| Some((path.clone(), node.content.clone()?)))
            .collect()
    }

    /// How often something was changed by way of the trait.
    pub fn writes(&self) -> u64 {
        *lock(&self.writes)
    }

    fn node(&self, path: &Utf8Path) -> Option<Node> {
        lock(&self.nodes).get(path).cloned()
    }

    fn insert(&self, path: &Utf8Path, attributes: Attributes, content: Option<Vec<u8>>) {
        lock(&self.nodes).insert(
            path.to_owned(),
            Node {
                attributes,
                content,
            },
        );
    }

    fn make_parents(&self, path: &Utf8Path) {
        for parent in path.ancestors().skip(1) {
            let folder = Node {
                attributes: Attributes::root(0o755),
                content: None,
            };
            lock(&self.nodes).entry(parent.to_owned()).or_insert(folder);
        }
    }

    fn changed(&self) {
        *lock(&self.writes) += 1;
    }

    fn has_children(&self, path: &Utf8Path) -> bool {
        lock(&self.nodes)
            .keys()
            .any(|other| other != path && other.starts_with(path))
    }
}

fn kind_error(path: &Utf8Path, found: FileKind, wanted: FileKind) -> FilesError {
    FilesError::Kind {
        path: path.to_owned(),
        found,
        wanted,
    }
}

#[async_trait]
impl Files for FakeFiles {
    async fn stat(&self, path: &Utf8Path) -> Result<Option<Stat>, FilesError> {
        Ok(self.node(path).map(|node| Stat {
            kind: if node.content.is_some() {
                FileKind::File
            } else {
                FileKind::Directory
            },
            attributes: node.attributes,
            size: node
                .content
                .map_or(0, |content| u64::try_from(content.len()).unwrap_or(0)),
        }))
    }

    async fn read(&self, path: &Utf8Path, limit: u64) -> Result<Option<Vec<u8>>, FilesError> {
        let Some(node) = self.node(path) else {
            return Ok(None);
        };
        let content = node
            .content
            .ok_or_else(|| kind_error(path, FileKind::Directory, FileKind::File))?;
        if u64::try_from(content.len()).is_ok_and(|length| length > limit) {
            return Err(FilesError::TooLong {
                path: path.to_owned(),
                limit,
            });
        }
        Ok(Some(content))
    }

    async fn digest(&self, path: &Utf8Path) -> Result<Option<Digest>, FilesError> {
        Ok(self
            .read(path, u64::MAX)
            .await?
            .map(|content| Digest::of(&content)))
    }

    async fn write(
        &self,
        path: &Utf8Path,
        content: Content,
        attributes: Attributes,
    ) -> Result<(), FilesError> {
        let content = match content {
            Content::Bytes(bytes) => bytes,
            Content::CopyOf(source) => {
                fs_err::read(&source).map_err(|error| FilesError::io("read", &source, error))?
            }
        };
        if self.node(path).is_some_and(|node| node.content.is_none()) {
            return Err(kind_error(path, FileKind::Directory, FileKind::File));
        }
        self.make_parents(path);
        self.insert(path, attributes, Some(content));
        self.changed();
        Ok(())
    }

    async fn make_directory(
        &self,
        path: &Utf8Path,
        attributes: Attributes,
    ) -> Result<bool, FilesError> {
        match self.node(path) {
            Some(node) if node.content.is_some() => {
                return Err(kind_error(path, FileKind::File, FileKind::Directory));
            }
            Some(_) => return Ok(false),
            None => {}
        }
        self.make_parents(path);
        self.insert(path, attributes, None);
        self.changed();
        Ok(true)
    }

    async fn set_attributes(
        &self,
        path: &Utf8Path,
        attributes: Attributes,
    ) -> Result<(), FilesError> {
        if let Some(node) = lock(&self.nodes).get_mut(path) {
            node.attributes = attributes;
        }
        self.changed();
        Ok(())
    }

    async fn remove_file(&self, path: &Utf8Path) -> Result<bool, FilesError> {
        if self.node(path).is_some_and(|node| node.content.is_none()) {
            return Err(kind_error(path, FileKind::Directory, FileKind::File));
        }
        let was_there = lock(&self.nodes).remove(path).is_some();
        if was_there {
            self.changed();
        }
        Ok(was_there)
    }

    async fn remove_directory(&self, path: &Utf8Path) -> Result<bool, FilesError> {
        if self.has_children(path) {
            return Ok(false);
        }
        if lock(&self.nodes).remove(path).is_some() {
            self.changed();
        }
        Ok(true)
    }

    async fn remove_tree(&self, path: &Utf8Path) -> Result<bool, FilesError> {
        let was_there = self.node(path).is_some();
        lock(&self.nodes).retain(|other, _| !other.starts_with(path));
        self.changed();
        Ok(was_there)
    }

    async fn list(&self, path: &Utf8Path) -> Result<Option<Vec<String>>, FilesError> {
        if self.node(path).is_none() {
            return Ok(None);
        }
        let nodes = lock(&self.nodes);
        let children = nodes.keys().filter(|other| other.parent() == Some(path));
        Ok(Some(
            children
                .filter_map(|child| child.file_name())
                .map(str::to_owned)
                .collect(),
        ))
    }

    async fn ids(&self, owner: &str, group: &str) -> Result<Ids, FilesError> {
        let id = |what: &'static str, name: &str| match name {
            "" | "root" => Ok(0),
            number => number.parse().map_err(|_| FilesError::NoSuchName {
                what,
                name: name.to_owned(),
                file: "/etc/passwd",
            }),
        };
        Ok(Ids {
            uid: id("user", owner)?,
            gid: id("group", group)?,
        })
    }
}
