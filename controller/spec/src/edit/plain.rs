//! What a file says, without how and where: for proving an edit.

use crate::edit::NewHost;
use crate::tree::{Content, Node};

/// A node without its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plain {
    /// Text, and its kind: `"1"` is not `1`.
    Scalar(String, &'static str),
    List(Vec<Plain>),
    Map(Vec<(Plain, Plain)>),
}

// === impl Plain ===

impl Plain {
    pub(super) fn of(node: &Node) -> Self {
        match node.content() {
            Content::Scalar(scalar) => Self::Scalar(scalar.text().to_owned(), scalar.kind()),
            Content::Sequence(items, _) => Self::List(items.iter().map(Self::of).collect()),
            Content::Mapping(entries, _) => {
                let mut entries: Vec<_> = entries
                    .iter()
                    .map(|entry| (Self::of(&entry.key), Self::of(&entry.value)))
                    .collect();
                // The order of keys means nothing, and a new one may stand anywhere.
                entries.sort_by_key(|(key, _)| format!("{key:?}"));
                Self::Map(entries)
            }
        }
    }

    pub(super) fn string(text: &str) -> Self {
        Self::Scalar(text.to_owned(), "a string")
    }

    pub(super) fn host(host: &NewHost) -> Self {
        let mut map = Self::Map(Vec::new());
        map.set("hostname", Self::string(host.hostname.as_str()));
        map.set("address", Self::string(host.address.as_str()));
        if let Some(user) = &host.user {
            map.set("user", Self::string(user));
        }
        if let Some(port) = host.port {
            map.set("port", Self::Scalar(port.to_string(), "a number"));
        }
        map
    }

    /// Gives a mapping's key this value.
    pub(super) fn set(&mut self, key: &str, value: Self) {
        if let Self::Map(entries) = self {
            entries.retain(|(name, _)| !name.is(key));
            entries.push((Self::string(key), value));
            entries.sort_by_key(|(key, _)| format!("{key:?}"));
        }
    }

    /// The list under a mapping's key.
    pub(super) fn list(&mut self, key: &str) -> Option<&mut Vec<Self>> {
        match self.get(key)? {
            Self::List(items) => Some(items),
            Self::Scalar(..) | Self::Map(_) => None,
        }
    }

    /// Takes a host out wherever it is listed.
    pub(super) fn remove_host(&mut self, hostname: &str) {
        if let Some(hosts) = self.list("hosts") {
            hosts.retain_mut(|host| !host.get("hostname").is_some_and(|name| name.is(hostname)));
        }
        for service in self.list("services").into_iter().flatten() {
            service.unlist(hostname);
        }
        if let Some(Self::Map(components)) = self.get("components") {
            for (_, component) in components {
                component.unlist(hostname);
            }
        }
    }

    fn unlist(&mut self, hostname: &str) {
        if let Some(hosts) = self.list("hosts") {
            hosts.retain(|name| !name.is(hostname));
        }
    }

    fn get(&mut self, key: &str) -> Option<&mut Self> {
        match self {
            Self::Map(entries) => entries
                .iter_mut()
                .find(|(name, _)| name.is(key))
                .map(|(_, value)| value),
            Self::Scalar(..) | Self::List(_) => None,
        }
    }

    fn is(&self, text: &str) -> bool {
        matches!(self, Self::Scalar(own, _) if own == text)
    }
}
