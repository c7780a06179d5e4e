//! Names of images.

/// An image's name in its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference<'a> {
    /// Registry and path: `docker.io/traefik/whoami`.
    pub repository: &'a str,
    /// What stands behind the colon.
    pub tag: Option<&'a str>,
    /// `sha256:…`, what stands behind the at sign.
    pub digest: Option<&'a str>,
}

// === impl Reference ===

impl<'a> Reference<'a> {
    /// The parts of a name. Every text has some: whether a runtime takes them is the runtime's to say.
    pub fn parse(name: &'a str) -> Self {
        let (rest, digest) = match name.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (name, None),
        };
        match rest.rsplit_once(':') {
            // A slash behind the colon: it is a registry's port.
            Some((repository, tag)) if !tag.contains('/') => Self {
                repository,
                tag: Some(tag),
                digest,
            },
            _ => Self {
                repository: rest,
                tag: None,
                digest,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Reference;

    #[test]
    fn a_port_is_no_tag() {
        let parts = |name| {
            let reference = Reference::parse(name);
            (reference.repository, reference.tag, reference.digest)
        };
        assert_eq!(
            parts("docker.io/a/b:v1"),
            ("docker.io/a/b", Some("v1"), None)
        );
        assert_eq!(parts("host:5000/a"), ("host:5000/a", None, None));
        assert_eq!(
            parts("host:5000/a:b@sha256:c"),
            ("host:5000/a", Some("b"), Some("sha256:c"))
        );
    }
}
