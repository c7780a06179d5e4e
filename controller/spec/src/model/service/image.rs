//! References to images.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A fully qualified reference: registry, repository, and a tag or a digest or both.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageReference(String);

/// A reference that is none, or is not complete.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// No registry: runtimes differ in which one they add.
    #[error("`{given}` names no registry")]
    NoRegistry {
        /// As given.
        given: String,
        /// What was probably meant.
        meant: String,
    },
    /// Neither tag nor digest.
    #[error("`{given}` names no version")]
    NoVersion {
        /// As given.
        given: String,
    },
    /// Anything else.
    #[error("`{given}` is not an image reference: {why}")]
    Form {
        /// As given.
        given: String,
        /// Which part of it is wrong.
        why: &'static str,
    },
}

// === impl ImageReference ===

impl ImageReference {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ImageReference {
    type Err = ImageError;

    fn from_str(given: &str) -> Result<Self, ImageError> {
        let wrong = |why| ImageError::Form {
            given: given.to_owned(),
            why,
        };
        let (rest, digest) = match given.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (given, None),
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err(wrong(
                "after @ comes sha256: and 64 lower-case hexadecimal digits",
            ));
        }
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(wrong(
                "a tag has letters, digits and _.-, at most 128 of them",
            ));
        }
        let (registry, repository) = match name.split_once('/') {
            Some((first, repository)) if is_registry(first) => (Some(first), repository),
            _ => (None, name),
        };
        if !repository.split('/').all(is_component) {
            return Err(wrong(
                "a repository has lower-case letters, digits and .-_, parted by /",
            ));
        }
        if registry.is_none() {
            let library = if name.contains('/') { "" } else { "library/" };
            let meant = format!("docker.io/{library}{given}");
            return Err(ImageError::NoRegistry {
                given: given.to_owned(),
                meant,
            });
        }
        if tag.is_none() && digest.is_none() {
            return Err(ImageError::NoVersion {
                given: given.to_owned(),
            });
        }
        Ok(Self(given.to_owned()))
    }
}

/// Whether the first part of a name is a registry: it has a dot or a port, or is localhost.
fn is_registry(first: &str) -> bool {
    let (host, port) = first.split_once(':').unwrap_or((first, "1"));
    let form = |c: u8| c.is_ascii_alphanumeric() || c == b'.' || c == b'-';
    let named = host.contains('.') || host == "localhost" || first.contains(':');
    named && !host.is_empty() && host.bytes().all(form) && port.parse::<u16>().is_ok_and(|p| p > 0)
}

fn is_component(part: &str) -> bool {
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    part.as_bytes().first().is_some_and(alphanumeric)
        && part.as_bytes().last().is_some_and(alphanumeric)
        && part
            .bytes()
            .all(|b| alphanumeric(&b) || b".-_".contains(&b))
}

fn is_tag(tag: &str) -> bool {
    (1..=128).contains(&tag.len())
        && !tag.starts_with(['.', '-'])
        && tag
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

fn is_digest(digest: &str) -> bool {
    digest.strip_prefix("sha256:").is_some_and(|digits| {
        digits.len() == 64
            && digits
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ImageReference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{ImageError, ImageReference};

    #[test]
    fn complete_references() {
        let digest = "a".repeat(64);
        for good in [
            "docker.io/traefik/whoami:v1.11",
            "localhost/whoami:1",
            "localhost:5000/whoami:1",
            "registry:5000/a/b/c:latest",
            &format!("quay.io/openbao/openbao@sha256:{digest}"),
            &format!("quay.io/openbao/openbao:2.7.2@sha256:{digest}"),
        ] {
            assert!(good.parse::<ImageReference>().is_ok(), "{good}");
        }
    }

    #[test]
    fn a_missing_registry_is_guessed_in_the_hint() {
        for (given, expected) in [
            ("nginx", "docker.io/library/nginx"),
            ("nginx:1", "docker.io/library/nginx:1"),
            ("traefik/whoami:v1", "docker.io/traefik/whoami:v1"),
        ] {
            match given.parse::<ImageReference>() {
                Err(ImageError::NoRegistry { meant, .. }) => assert_eq!(meant, expected),
                other => panic!("{given}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_reference() {
        assert!(matches!(
            "docker.io/library/nginx".parse::<ImageReference>(),
            Err(ImageError::NoVersion { .. })
        ));
        for bad in [
            "",
            "docker.io/",
            "docker.io/A:1",
            "docker.io/a:",
            "docker.io/a@sha256:1",
            "a b",
            "docker.io//a:1",
            "-v:1",
        ] {
            assert!(
                matches!(bad.parse::<ImageReference>(), Err(ImageError::Form { .. })),
                "{bad}"
            );
        }
    }
}
