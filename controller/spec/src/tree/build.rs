//! From the parser's events to the tree.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, StructureStyle, Tag};

use super::{Content, Entry, Node, Scalar, Style};

/// The most nodes that a file has once its aliases are written out.
const MOST_NODES: usize = 1_000_000;

/// Text that is no YAML, or YAML that is not read here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// Where, in bytes.
    pub(crate) at: Range<usize>,
    /// Lower-case, one line.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

/// Reads the one document of a file.
///
/// # Errors
///
/// The first thing that is no YAML (nothing after it can be trusted), or that is not read here: several documents, tags
/// of the user's own, aliases that would fill the memory.
pub(crate) fn build(source: &str) -> Result<Node, SyntaxError> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    let mut builder = Builder {
        source,
        events: Parser::new_from_str_with_options(source, options),
        anchors: HashMap::new(),
        nodes: 0,
    };
    builder.document()
}

struct Builder<'a> {
    source: &'a str,
    events: Parser<'a, granit_parser::StrInput<'a>>,
    /// Finished nodes that have an anchor, each with the number of nodes in it.
    anchors: HashMap<usize, (Node, usize)>,
    /// How many there would be with all aliases written out.
    nodes: usize,
}

impl<'a> Builder<'a> {
    fn document(&mut self) -> Result<Node, SyntaxError> {
        let root = loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (Event::StreamEnd, _) => return Err(self.error(0..0, "the file is empty")),
                (event, span) => break self.node(event, span)?,
            }
        };
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(root),
                (Event::DocumentEnd, _) => {}
                (_, span) => {
                    let at = self.range(span);
                    return Err(self
                        .error(at, "a second document begins here")
                        .hint("a stack.yaml has one document: take out the line `---`"));
                }
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), SyntaxError> {
        match self.events.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(self.scan_error(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the parser may grow events")]
    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, SyntaxError> {
        let before = self.nodes;
        self.count(1, span)?;
        let at = self.range(span);
        let (anchor, node) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain =
                    style == ScalarStyle::Plain && !self.is_string_tag(tag.as_deref(), span)?;
                let content = Content::Scalar(Scalar::new(text.into_owned(), plain));
                (anchor, Node::new(at, anchor > 0, content))
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.check_tag(tag.as_deref(), "seq", span)?;
                (anchor, self.sequence(at, style, anchor > 0)?)
            }
            Event::MappingStart(style, anchor, tag) => {
                self.check_tag(tag.as_deref(), "map", span)?;
                (anchor, self.mapping(at, style, anchor > 0)?)
            }
            Event::Alias(id) => {
                let Some((node, size)) = self.anchors.get(&id) else {
                    return Err(self.error(at, "this alias stands within what it names"));
                };
                let (node, size) = (node.aliased(at), *size);
                self.count(size, span)?;
                return Ok(node);
            }
            _ => return Err(self.error(at, "a value was expected here")),
        };
        if anchor > 0 {
            self.anchors
                .insert(anchor, (node.clone(), self.nodes - before));
        }
        Ok(node)
    }

    fn sequence(
        &mut self,
        at: Range<usize>,
        style: StructureStyle,
        anchored: bool,
    ) -> Result<Node, SyntaxError> {
        let mut items: Vec<Node> = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, span) => {
                    let last = items.last().map(|item| item.at.end);
                    let at = self.extent(at, last, style, span);
                    return Ok(Node::new(
                        at,
                        anchored,
                        Content::Sequence(items, style.into()),
                    ));
                }
                (event, span) => items.push(self.node(event, span)?),
            }
        }
    }

    fn mapping(
        &mut self,
        at: Range<usize>,
        style: StructureStyle,
        anchored: bool,
    ) -> Result<Node, SyntaxError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged: Vec<Node> = Vec::new();
        let mut last = None;
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, span) => {
                    let at = self.extent(at, last, style, span);
                    merge(&mut entries, &merged);
                    return Ok(Node::new(
                        at,
                        anchored,
                        Content::Mapping(entries, style.into()),
                    ));
                }
                (event, span) => self.node(event, span)?,
            };
            let (event, span) = self.next()?;
            let value = self.node(event, span)?;
            last = Some(value.at.end.max(key.at.end));
            if !key.is_text("<<") {
                entries.push(Entry { key, value });
            } else if let Some(sources) = merge_sources(&value) {
                merged.extend(sources);
            } else {
                return Err(self.error(
                    value.at,
                    "only a mapping, or a list of mappings, can be merged",
                ));
            }
        }
    }

    /// From the first byte of a collection to its last: the parser says where the next thing begins.
    fn extent(
        &self,
        start: Range<usize>,
        last: Option<usize>,
        style: StructureStyle,
        end: Span,
    ) -> Range<usize> {
        match style {
            StructureStyle::Flow => start.start..self.range(end).end,
            StructureStyle::Block => start.start..last.unwrap_or(start.end),
        }
    }

    fn count(&mut self, more: usize, span: Span) -> Result<(), SyntaxError> {
        self.nodes = self.nodes.saturating_add(more);
        if self.nodes <= MOST_NODES {
            return Ok(());
        }
        let at = self.range(span);
        Err(self.error(
            at,
            format!("with its aliases the file has more than {MOST_NODES} values"),
        ))
    }

    /// Whether a scalar is tagged as a string (`!!str`, `!`). Any other tag is refused.
    fn is_string_tag(&self, tag: Option<&Tag>, span: Span) -> Result<bool, SyntaxError> {
        match tag {
            None => Ok(false),
            Some(tag) if tag.is_yaml_core_schema_tag("str") || tag.original() == "!" => Ok(true),
            Some(tag) => Err(self.tag_error(tag, span)),
        }
    }

    fn check_tag(&self, tag: Option<&Tag>, own: &str, span: Span) -> Result<(), SyntaxError> {
        match tag {
            Some(tag) if !tag.is_yaml_core_schema_tag(own) => Err(self.tag_error(tag, span)),
            _ => Ok(()),
        }
    }

    fn tag_error(&self, tag: &Tag, span: Span) -> SyntaxError {
        let at = self.range(span);
        self.error(at, format!("the tag `{}` is not known", tag.original()))
            .hint("leave it out: tags have no meaning in stack.yaml")
    }

    fn scan_error(&self, error: &ScanError) -> SyntaxError {
        let start = self.offset(error.marker().byte_offset(), error.marker().index());
        self.error(start..start, format!("this is not YAML: {}", error.kind()))
    }

    fn range(&self, span: Span) -> Range<usize> {
        let start = self.offset(span.start.byte_offset(), span.start.index());
        let end = self.offset(span.end.byte_offset(), span.end.index());
        start..end.max(start)
    }

    /// A byte offset within the source and at the start of a character.
    fn offset(&self, bytes: Option<usize>, characters: usize) -> usize {
        bytes
            .filter(|offset| self.source.is_char_boundary(*offset))
            .unwrap_or_else(|| {
                self.source
                    .char_indices()
                    .nth(characters)
                    .map_or(self.source.len(), |(at, _)| at)
            })
    }

    fn error(&self, at: Range<usize>, message: impl Into<String>) -> SyntaxError {
        SyntaxError {
            at,
            message: message.into(),
            hint: None,
        }
    }
}

/// The mappings that a merge key brings in: the first ones win.
fn merge_sources(value: &Node) -> Option<Vec<Node>> {
    match value.content() {
        Content::Mapping(..) => Some(vec![value.clone()]),
        Content::Sequence(items, _)
            if items
                .iter()
                .all(|item| matches!(item.content(), Content::Mapping(..))) =>
        {
            Some(items.clone())
        }
        Content::Sequence(..) | Content::Scalar(_) => None,
    }
}

/// Adds what is not there yet.
fn merge(entries: &mut Vec<Entry>, sources: &[Node]) {
    for entry in sources.iter().flat_map(|source| source.entries()) {
        let key = entry.key.scalar().map(Scalar::text);
        if !entries
            .iter()
            .any(|own| own.key.scalar().map(Scalar::text) == key)
        {
            entries.push(entry.clone());
        }
    }
}

// === impl Style ===

impl From<StructureStyle> for Style {
    fn from(style: StructureStyle) -> Self {
        match style {
            StructureStyle::Block => Self::Block,
            StructureStyle::Flow => Self::Flow,
        }
    }
}

// === impl SyntaxError ===

impl SyntaxError {
    fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::Node;
    use super::build;

    /// The text that each leaf covers.
    fn leaves<'a>(source: &'a str, node: &Node, found: &mut Vec<&'a str>) {
        for item in node.items() {
            leaves(source, item, found);
        }
        for entry in node.entries() {
            found.push(&source[entry.key.at.clone()]);
            leaves(source, &entry.value, found);
        }
        if node.scalar().is_some() {
            found.push(&source[node.at.clone()]);
        }
    }

    #[test]
    fn spans_cover_what_was_written() {
        let source = "\u{feff}# ä\r\na: \"x\\n\"\r\nb: # c\r\n  - {c: 'ü'}\r\n  - d\r\n";
        let tree = build(source).unwrap();
        let mut found = Vec::new();
        leaves(source, &tree, &mut found);
        assert_eq!(found, ["a", "\"x\\n\"", "b", "c", "'ü'", "d"]);
        let list = tree.get("b").unwrap();
        assert_eq!(&source[list.at.clone()], "- {c: 'ü'}\r\n  - d");
        assert_eq!(&source[list.items()[0].at.clone()], "{c: 'ü'}");
    }

    #[test]
    fn aliases_and_merges_are_written_out() {
        let tree = build("a: &x {k: 1, l: 2}\nb: *x\nc:\n  <<: *x\n  k: 3\n").unwrap();
        assert!(tree.get("b").unwrap().alias);
        assert!(tree.get("b").unwrap().get("l").unwrap().is_text("2"));
        let merged = tree.get("c").unwrap();
        assert!(merged.get("k").unwrap().is_text("3"));
        assert!(merged.get("l").unwrap().is_text("2"));
        assert!(merged.get("<<").is_none());
    }

    #[test]
    fn what_cannot_be_trusted_is_refused() {
        let bomb: String = (1..=12)
            .map(|n| {
                format!(
                    "k{n}: &k{n} [{}]\n",
                    vec![format!("*k{}", n - 1); 9].join(",")
                )
            })
            .collect();
        for (source, part) in [
            ("", "empty"),
            ("# only a comment\n", "empty"),
            ("a: [1\nb: 2\n", "not YAML"),
            ("a: 1\n---\nb: 2\n", "second document"),
            ("a: !mine 1\n", "the tag `!mine`"),
            ("a: &a [*a]\n", "within what it names"),
            ("a: *b\n", "not YAML"),
            ("<<: 1\n", "merged"),
            (&format!("k0: &k0 x\n{bomb}"), "more than 1000000"),
        ] {
            let error = build(source).unwrap_err();
            assert!(error.message.contains(part), "{source}: {}", error.message);
        }
    }
}
