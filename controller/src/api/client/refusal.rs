//! A controller's "no", as the error of a command.

use std::error::Error;
use std::fmt;

use tonic::{Code, Status};

use crate::api::error::{ApiError, ErrorKind};
use crate::cli::{CliError, Kind};

/// One link of a chain of causes that came as text.
#[derive(Debug)]
struct Link {
    text: String,
    cause: Option<Box<Link>>,
}

/// The error of a command whose call was answered with this status.
pub fn refusal(status: &Status) -> CliError {
    if status.code() == Code::Unavailable && status.source().is_some() {
        return CliError::because("the connection to the controller is lost", status.clone())
            .hint("say it again: a controller is started where none runs");
    }
    let error = ApiError::from_status(status);
    let kind = match error.kind {
        ErrorKind::Invalid | ErrorKind::NotFound => Kind::Usage,
        ErrorKind::Refused
        | ErrorKind::Busy
        | ErrorKind::Outdated
        | ErrorKind::Unavailable
        | ErrorKind::Failed => Kind::Failed,
    };
    let chain = error
        .causes
        .into_iter()
        .rev()
        .fold(None, |cause, text| Some(Box::new(Link { text, cause })));
    let source = Link {
        text: error.message,
        cause: chain,
    };
    CliError::new(kind, source).hints(error.hints)
}

// === impl Link ===

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Link {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use super::refusal;
    use crate::api::error::{ApiError, ErrorKind};
    use crate::cli::Kind;

    #[test]
    fn causes_and_hints_arrive_in_order() {
        let mut sent = ApiError::new(ErrorKind::Invalid, "no such host");
        sent.causes = vec!["near".to_owned(), "far".to_owned()];
        sent.hints = vec!["spell it right".to_owned()];
        let error = refusal(&sent.to_status());
        assert_eq!(error.kind, Kind::Usage);
        assert_eq!(error.to_string(), "no such host");
        assert_eq!(error.causes(), ["near", "far"]);
        assert_eq!(error.hints, ["spell it right"]);
    }
}
