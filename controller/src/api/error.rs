//! An error on its way from the controller to the command line: a tonic status whose metadata says it in full.

use serde::{Deserialize, Serialize};
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

/// Metadata key of the JSON of an [`ApiError`].
pub const ERROR_KEY: &str = "foundry-error-bin";

/// The longest JSON that goes into a status: headers are bounded.
const LONGEST: usize = 6 * 1024;

/// What kind of thing went wrong. It decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The file, a selection, or an argument is wrong.
    Invalid,
    /// What was named does not exist.
    NotFound,
    /// It must not be done: a host of another fleet, a plan with problems.
    Refused,
    /// Somebody else is changing the fleet.
    Busy,
    /// What was planned is no longer what is.
    Outdated,
    /// A host, or the listener, cannot be reached.
    Unavailable,
    /// It was tried and failed.
    Failed,
}

/// An error with its causes and the ways out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// What kind it is.
    pub kind: ErrorKind,
    /// What failed, without its cause.
    pub message: String,
    /// Why, the nearest cause first.
    pub causes: Vec<String>,
    /// What to do about it.
    pub hints: Vec<String>,
}

// === impl ErrorKind ===

impl ErrorKind {
    fn code(self) -> Code {
        match self {
            Self::Invalid => Code::InvalidArgument,
            Self::NotFound => Code::NotFound,
            Self::Refused => Code::FailedPrecondition,
            Self::Busy | Self::Outdated => Code::Aborted,
            Self::Unavailable => Code::Unavailable,
            Self::Failed => Code::Internal,
        }
    }

    fn of(code: Code) -> Self {
        if code == Code::InvalidArgument {
            Self::Invalid
        } else if code == Code::NotFound {
            Self::NotFound
        } else if code == Code::FailedPrecondition {
            Self::Refused
        } else if code == Code::Unavailable {
            Self::Unavailable
        } else {
            Self::Failed
        }
    }
}

// === impl ApiError ===

impl ApiError {
    /// An error without causes.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            causes: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// From an error and its chain of sources.
    pub fn of(kind: ErrorKind, error: &(dyn std::error::Error + 'static)) -> Self {
        let causes = std::iter::successors(error.source(), |cause| cause.source());
        Self {
            causes: causes.map(ToString::to_string).collect(),
            ..Self::new(kind, error.to_string())
        }
    }

    /// With these hints.
    pub fn hints(mut self, hints: impl IntoIterator<Item = String>) -> Self {
        self.hints.extend(hints);
        self
    }

    /// As a status.
    pub fn to_status(&self) -> Status {
        let mut status = Status::new(self.kind.code(), self.message.clone());
        if let Ok(json) = serde_json::to_vec(self)
            && json.len() <= LONGEST
        {
            status
                .metadata_mut()
                .insert_bin(ERROR_KEY, MetadataValue::from_bytes(&json));
        }
        status
    }

    /// Out of a status; one that carries no details says what it says.
    pub fn from_status(status: &Status) -> Self {
        let details = status.metadata().get_bin(ERROR_KEY);
        let json = details.and_then(|value| value.to_bytes().ok());
        json.and_then(|json| serde_json::from_slice(&json).ok())
            .unwrap_or_else(|| Self::new(ErrorKind::of(status.code()), status.message()))
    }
}

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        error.to_status()
    }
}

#[cfg(test)]
mod tests {
    use super::{ApiError, ErrorKind};

    #[test]
    fn an_error_survives_its_way_through_a_status() {
        let error = ApiError {
            kind: ErrorKind::Busy,
            message: "another run is under way".to_owned(),
            causes: vec!["run 4711 of anna@desk".to_owned()],
            hints: vec!["wait — or `--lock-wait 300`".to_owned()],
        };
        assert_eq!(ApiError::from_status(&error.to_status()), error);
    }

    #[test]
    fn a_status_of_somebody_else_keeps_its_text() {
        let error = ApiError::from_status(&tonic::Status::unavailable("gone"));
        assert_eq!(error, ApiError::new(ErrorKind::Unavailable, "gone"));
    }

    #[test]
    fn an_error_too_long_for_a_header_keeps_its_message() {
        let error = ApiError::new(ErrorKind::Invalid, "too much").hints(vec!["x".repeat(10_000)]);
        assert_eq!(
            ApiError::from_status(&error.to_status()).message,
            "too much"
        );
    }
}
