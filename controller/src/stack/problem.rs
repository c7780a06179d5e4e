//! Why a valid file cannot be carried out.

/// What stands in the way of one service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StackError {
    /// The command line did not describe the archive.
    #[error("service {service}: the image archive {path} was not found")]
    MissingArchive {
        /// Whose.
        service: String,
        /// As written in the file.
        path: String,
    },
    /// Loading it would not give the image that the service runs.
    #[error("service {service}: the archive {path} holds {}, not {image}", .holds.join(", "))]
    WrongArchive {
        /// Whose.
        service: String,
        /// As written in the file.
        path: String,
        /// What the service runs.
        image: String,
        /// The references in the archive.
        holds: Vec<String>,
    },
    /// This version resolves none.
    #[error("service {service}: {place} refers to {reference}")]
    Secret {
        /// Whose.
        service: String,
        /// `env DB_PASSWORD`, `command`.
        place: String,
        /// `${secret:path:key}`
        reference: String,
    },
    /// A name that the wire does not take.
    #[error("service {service}: {message}")]
    Name {
        /// Whose.
        service: String,
        /// What is wrong with it.
        message: String,
    },
}

// === impl StackError ===

impl StackError {
    /// The assignment that it is about.
    pub fn assignment(&self) -> String {
        let (Self::MissingArchive { service, .. }
        | Self::WrongArchive { service, .. }
        | Self::Secret { service, .. }
        | Self::Name { service, .. }) = self;
        format!("service/{service}")
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::MissingArchive { .. } => {
                "make it with `docker save -o`, at this path relative to stack.yaml"
            }
            Self::WrongArchive { .. } => {
                "set `image:` to one that the archive holds, or save the archive again"
            }
            Self::Secret { .. } => {
                "this version of foundry resolves no secrets yet: mount a file as a volume instead"
            }
            Self::Name { .. } => "choose a shorter name",
        }
    }
}
