//! The file as a tree of nodes that know where they stand.
//!
//! A deserializer stops at the first error. This tree is read by [`crate::read`] instead, which goes on, and it is what
//! edits find their places by. Anchors, aliases and merge keys (`<<`) are resolved here; what a person wrote as one node
//! and used twice is read twice.

mod build;
mod scalar;

use std::ops::Range;
use std::rc::Rc;

pub(crate) use build::build;
pub(crate) use scalar::Scalar;

/// A node where it stands. Cheap to copy: an alias shares the content of its anchor.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Bytes of the source: a scalar, from the first to the last leaf of a collection, or the alias.
    pub(crate) at: Range<usize>,
    /// It is written elsewhere, and only named here.
    pub(crate) alias: bool,
    /// Other places name it.
    pub(crate) anchored: bool,
    content: Rc<Content>,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum Content {
    /// A single value.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>, Style),
    /// Keys with values, in the order of the file.
    Mapping(Vec<Entry>, Style),
}

/// How a collection is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// By indentation.
    Block,
    /// In brackets or braces.
    Flow,
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Mostly a scalar.
    pub(crate) key: Node,
    /// Null where nothing follows the key.
    pub(crate) value: Node,
}

// === impl Node ===

impl Node {
    fn new(at: Range<usize>, anchored: bool, content: Content) -> Self {
        Self {
            at,
            alias: false,
            anchored,
            content: Rc::new(content),
        }
    }

    /// This node, named at another place.
    fn aliased(&self, at: Range<usize>) -> Self {
        Self {
            at,
            alias: true,
            anchored: false,
            content: Rc::clone(&self.content),
        }
    }

    /// What it is.
    pub(crate) fn content(&self) -> &Content {
        &self.content
    }

    /// The scalar, where it is one.
    pub(crate) fn scalar(&self) -> Option<&Scalar> {
        match self.content() {
            Content::Scalar(scalar) => Some(scalar),
            Content::Sequence(..) | Content::Mapping(..) => None,
        }
    }

    /// Its entries, where it is a mapping.
    pub(crate) fn entries(&self) -> &[Entry] {
        match self.content() {
            Content::Mapping(entries, _) => entries,
            Content::Scalar(_) | Content::Sequence(..) => &[],
        }
    }

    /// Its items, where it is a sequence.
    pub(crate) fn items(&self) -> &[Node] {
        match self.content() {
            Content::Sequence(items, _) => items,
            Content::Scalar(_) | Content::Mapping(..) => &[],
        }
    }

    /// The entry of this key, where it is a mapping that has it.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key.is_text(key))
    }

    /// The value of this key, where it is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// Whether it is a scalar of exactly this text.
    pub(crate) fn is_text(&self, text: &str) -> bool {
        self.scalar().is_some_and(|scalar| scalar.text() == text)
    }

    /// Whether nothing stands here.
    pub(crate) fn is_null(&self) -> bool {
        self.scalar().is_some_and(Scalar::is_null)
    }

    /// Its kind, with an article.
    pub(crate) fn kind(&self) -> &'static str {
        match self.content() {
            Content::Scalar(scalar) => scalar.kind(),
            Content::Sequence(..) => "a list",
            Content::Mapping(..) => "a mapping",
        }
    }
}
