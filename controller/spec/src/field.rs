//! Readers of the tree: each takes what it can, reports what is wrong, and lets the next one go on.

use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use crate::report::{Report, nearest};
use crate::tree::{Content, Node, Scalar};

/// A key that a mapping may have, and what is to stand there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
}

/// A value to be read.
#[derive(Debug, Clone)]
pub(crate) struct Field<'t> {
    pub(crate) node: &'t Node,
    /// How messages call it: the key that it stands under.
    name: &'t str,
    doc: &'static str,
}

/// A mapping with known keys.
#[derive(Debug)]
pub(crate) struct Table<'t> {
    pub(crate) node: &'t Node,
    name: &'t str,
    keys: &'static [Key],
}

/// Keys are quoted, descriptions are not.
fn label(name: &str) -> String {
    if name.contains([' ', '.']) {
        name.to_owned()
    } else {
        format!("`{name}`")
    }
}

/// For tables of keys.
pub(crate) const fn key(name: &'static str, doc: &'static str) -> Key {
    Key { name, doc }
}

// === impl Field ===

impl<'t> Field<'t> {
    pub(crate) fn new(node: &'t Node, name: &'t str, doc: &'static str) -> Self {
        Self { node, name, doc }
    }

    /// The same value, called otherwise: an item of `hosts` is `a host`.
    pub(crate) fn called(self, name: &'t str) -> Self {
        Self { name, ..self }
    }

    /// Where it stands.
    pub(crate) fn at(&self) -> &'t Range<usize> {
        &self.node.at
    }

    /// It is of another kind than wanted.
    pub(crate) fn wrong_kind(&self, wanted: &str, report: &mut Report<'_>) {
        let message = format!("{} is {}, not {wanted}", label(self.name), self.node.kind());
        let reported = report.error(self.at(), message).expected(self.doc);
        if let Some(scalar) = self.node.scalar()
            && wanted == "a string"
            && !scalar.is_null()
        {
            reported.hint(format!("quote it: \"{}\"", scalar.text()));
        }
    }

    /// A string.
    pub(crate) fn string(&self, report: &mut Report<'_>) -> Option<&'t str> {
        match self.node.scalar() {
            Some(scalar) if scalar.is_string() => Some(scalar.text()),
            _ => {
                self.wrong_kind("a string", report);
                None
            }
        }
    }

    /// A string, number, true or false, as it was written.
    pub(crate) fn scalar(&self, report: &mut Report<'_>) -> Option<&'t str> {
        match self.node.scalar() {
            Some(scalar) if !scalar.is_null() => Some(scalar.text()),
            _ => {
                self.wrong_kind("a string", report);
                None
            }
        }
    }

    /// A string of a certain form.
    pub(crate) fn parse<T>(&self, report: &mut Report<'_>) -> Option<T>
    where
        T: FromStr<Err: Display>,
    {
        let text = self.string(report)?;
        self.take(text.parse(), report)
    }

    /// A string or number of a certain form.
    pub(crate) fn parse_scalar<T>(&self, report: &mut Report<'_>) -> Option<T>
    where
        T: FromStr<Err: Display>,
    {
        let text = self.scalar(report)?;
        self.take(text.parse(), report)
    }

    /// The value, or a report of why there is none.
    pub(crate) fn take<T, E: Display>(
        &self,
        result: Result<T, E>,
        report: &mut Report<'_>,
    ) -> Option<T> {
        result
            .map_err(|error| {
                report.error(self.at(), error).expected(self.doc);
            })
            .ok()
    }

    /// Something is wrong with the value.
    pub(crate) fn refuse(&self, message: impl Display, report: &mut Report<'_>) {
        report.error(self.at(), message).expected(self.doc);
    }

    /// A port's number.
    pub(crate) fn port(&self, report: &mut Report<'_>) -> Option<u16> {
        let port = self.node.scalar().and_then(Scalar::as_integer);
        match port.map(u16::try_from) {
            Some(Ok(port)) if port > 0 => Some(port),
            Some(_) => {
                let text = self.scalar(report)?;
                self.refuse(
                    format!("`{text}` is not a port: it is from 1 to 65535"),
                    report,
                );
                None
            }
            None => {
                self.wrong_kind("a number", report);
                None
            }
        }
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(
        &self,
        words: &[(&'static str, T)],
        report: &mut Report<'_>,
    ) -> Option<T> {
        let given = self.string(report)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == given) {
            return Some(*value);
        }
        let all: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        report
            .error(
                self.at(),
                format!("`{given}` is no value of `{}`", self.name),
            )
            .expected(format!("one of {}", all.join(", ")))
            .nearest(given, words.iter().map(|(word, _)| *word));
        None
    }

    /// The items of a list.
    pub(crate) fn items(&self, report: &mut Report<'_>) -> Vec<Field<'t>> {
        match self.node.content() {
            Content::Sequence(items, _) => items
                .iter()
                .map(|item| Self::new(item, self.name, self.doc))
                .collect(),
            Content::Scalar(_) | Content::Mapping(..) => {
                self.wrong_kind("a list", report);
                Vec::new()
            }
        }
    }

    /// The entries of a mapping whose keys are the user's own, without duplicates.
    pub(crate) fn entries(&self, report: &mut Report<'_>) -> Vec<(Field<'t>, Field<'t>)> {
        let Content::Mapping(entries, _) = self.node.content() else {
            self.wrong_kind("a mapping", report);
            return Vec::new();
        };
        let mut seen: Vec<(&str, &Range<usize>)> = Vec::new();
        let mut read = Vec::new();
        for entry in entries {
            let Some(name) = entry.key.scalar().map(Scalar::text) else {
                report
                    .error(&entry.key.at, "a key must be a plain word")
                    .expected(self.doc);
                continue;
            };
            if let Some((_, first)) = seen.iter().find(|(seen, _)| *seen == name) {
                let line = report.line(first);
                report
                    .error(&entry.key.at, format!("`{name}` stands here twice"))
                    .hint(format!("the first is on line {line}"));
                continue;
            }
            seen.push((name, &entry.key.at));
            let key = Self::new(&entry.key, name, self.doc);
            read.push((key, Self::new(&entry.value, name, self.doc)));
        }
        read
    }

    /// A mapping with these keys: any other is an error.
    pub(crate) fn table(&self, keys: &'static [Key], report: &mut Report<'_>) -> Option<Table<'t>> {
        let Content::Mapping(..) = self.node.content() else {
            self.wrong_kind("a mapping", report);
            return None;
        };
        let names = || keys.iter().map(|key| key.name);
        for (key, _) in self.entries(report) {
            if names().any(|name| name == key.name) {
                continue;
            }
            let all: Vec<String> = names().map(|name| format!("`{name}`")).collect();
            report
                .error(
                    key.at(),
                    format!("`{}` is not a key of {}", key.name, label(self.name)),
                )
                .expected(format!("one of {}", all.join(", ")))
                .nearest(key.name, names());
        }
        Some(Table {
            node: self.node,
            name: self.name,
            keys,
        })
    }

    /// How messages call it.
    pub(crate) fn name(&self) -> &'t str {
        self.name
    }
}

// === impl Table ===

impl<'t> Table<'t> {
    /// The value of a key. A key with nothing behind it counts as left out.
    pub(crate) fn get(&self, name: &'static str) -> Option<Field<'t>> {
        self.node
            .get(name)
            .filter(|node| !node.is_null())
            .map(|node| Field::new(node, name, self.doc(name)))
    }

    /// The value of a key that must be there.
    pub(crate) fn need(&self, name: &'static str, report: &mut Report<'_>) -> Option<Field<'t>> {
        let field = self.get(name);
        if field.is_none() && !self.is_misspelt(name) {
            let at = match self.node.entry(name) {
                Some(entry) => entry.key.at.clone(),
                None => self.node.at.start..self.node.at.start,
            };
            report
                .error(&at, format!("`{name}` is missing in {}", label(self.name)))
                .expected(format!("{name}: {}", self.doc(name)));
        }
        field
    }

    /// Whether a key that is not known was probably meant to be this one, and said so already.
    fn is_misspelt(&self, name: &str) -> bool {
        let names = || self.keys.iter().map(|key| key.name);
        let given = self
            .node
            .entries()
            .iter()
            .filter_map(|entry| entry.key.scalar());
        given
            .map(Scalar::text)
            .filter(|given| !names().any(|known| known == *given))
            .any(|given| nearest(given, names()) == Some(name))
    }

    fn doc(&self, name: &str) -> &'static str {
        self.keys
            .iter()
            .find(|key| key.name == name)
            .map_or("", |key| key.doc)
    }
}
