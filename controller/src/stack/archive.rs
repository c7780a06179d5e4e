//! What the command line says about an image archive.

use foundry_proto::Digest;
use foundry_proto::agent::v1::ArtifactRef;
use foundry_proto::digest::DigestError;
use foundry_proto::operator::v1 as wire;

/// An image archive beside stack.yaml, described by who can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// As written in the file.
    pub path: String,
    /// Of the whole file.
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    /// Config and manifest digests that it holds, as `sha256:…`.
    pub identities: Vec<String>,
    /// The references that it carries; empty where it names none.
    pub references: Vec<String>,
}

/// A description that is none.
#[derive(Debug, thiserror::Error)]
#[error("the description of the archive {path} is not valid")]
pub struct ArchiveError {
    path: String,
    #[source]
    source: DigestError,
}

// === impl Archive ===

impl Archive {
    /// As tasks refer to it.
    pub fn artifact(&self) -> ArtifactRef {
        ArtifactRef {
            digest: self.digest.to_bytes(),
            size: self.size,
        }
    }

    /// Whether a runtime that loads it has an image of this name then. An archive that names none is given its name
    /// while it is loaded.
    pub fn carries(&self, reference: &str) -> bool {
        self.references.is_empty()
            || self
                .references
                .iter()
                .any(|carried| same_image(carried, reference))
    }
}

/// Whether a fully qualified reference is what a runtime makes of the other, which may leave out the default registry.
fn same_image(carried: &str, reference: &str) -> bool {
    let short = reference.strip_prefix("docker.io/").unwrap_or(reference);
    let shortest = short.strip_prefix("library/").unwrap_or(short);
    let bare = reference.strip_prefix("localhost/").unwrap_or(reference);
    [reference, short, shortest, bare].contains(&carried)
}

impl TryFrom<&wire::Archive> for Archive {
    type Error = ArchiveError;

    fn try_from(archive: &wire::Archive) -> Result<Self, ArchiveError> {
        let digest = Digest::try_from(&archive.digest).map_err(|source| ArchiveError {
            path: archive.path.clone(),
            source,
        })?;
        Ok(Self {
            path: archive.path.clone(),
            digest,
            size: archive.size,
            identities: archive.identities.clone(),
            references: archive.references.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::same_image;

    #[test]
    fn archives_may_leave_the_default_registry_out() {
        for carried in ["docker.io/library/whoami:1", "library/whoami:1", "whoami:1"] {
            assert!(
                same_image(carried, "docker.io/library/whoami:1"),
                "{carried}"
            );
        }
        assert!(same_image("traefik/whoami:1", "docker.io/traefik/whoami:1"));
        assert!(same_image("whoami:1", "localhost/whoami:1"));
        for carried in ["whoami:2", "quay.io/library/whoami:1", "oami:1"] {
            assert!(
                !same_image(carried, "docker.io/library/whoami:1"),
                "{carried}"
            );
        }
    }
}
