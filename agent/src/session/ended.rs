//! Why an attempt or a session ended, and when to dial again.

use std::fmt;
use std::time::Duration;

use foundry_link::session::Violation;
use foundry_proto::agent::v1::Refusal;
use foundry_proto::{REFUSAL_KEY, RETRY_AFTER_KEY};

use super::dial::DialError;

/// Why an attempt or a session ended.
#[derive(Debug)]
pub enum Ended {
    /// No address answered.
    Unreachable(Vec<(String, DialError)>),
    /// The controller refuses this agent.
    Refused {
        /// The reason it gave.
        reason: Refusal,
        /// What it said.
        message: String,
    },
    /// The controller asks to come back later.
    Busy {
        /// When.
        retry_after: Option<Duration>,
    },
    /// The connection broke or the controller ended the session.
    Lost(String),
    /// The controller broke the protocol.
    Violated(Violation),
    /// Nothing was heard for the session's ttl.
    Silent,
    /// There is a new certificate to come back with.
    Renewed,
}

// === impl Ended ===

impl Ended {
    /// The session's end, as its stream told it.
    pub(super) fn of(status: &tonic::Status) -> Self {
        let metadata = status.metadata();
        let text = |key| metadata.get(key).and_then(|value| value.to_str().ok());
        let Some(reason) = text(REFUSAL_KEY)
            .map(|name| Refusal::from_str_name(name).unwrap_or(Refusal::Unspecified))
        else {
            let told = status.message();
            return Self::Lost(if told.is_empty() {
                chain(status)
            } else {
                told.to_owned()
            });
        };
        if reason == Refusal::Busy {
            let retry_after = text(RETRY_AFTER_KEY).and_then(|ms| ms.parse().ok());
            return Self::Busy {
                retry_after: retry_after.map(Duration::from_millis),
            };
        }
        Self::Refused {
            reason,
            message: status.message().to_owned(),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(failures) if failures.is_empty() => {
                f.write_str("no address of a controller is known")
            }
            Self::Unreachable(failures) => {
                let causes: Vec<String> = failures.iter().map(|(_, error)| chain(error)).collect();
                f.write_str(&causes.join("; "))
            }
            Self::Refused { message, .. } => {
                write!(f, "the controller refuses this host: {message}")
            }
            Self::Busy { .. } => f.write_str("the controller is busy"),
            Self::Lost(cause) => f.write_str(cause),
            Self::Violated(violation) => {
                write!(f, "the controller broke the protocol: {violation}")
            }
            Self::Silent => f.write_str("nothing was heard of the controller"),
            Self::Renewed => f.write_str("there is a new certificate"),
        }
    }
}

/// The error with every cause.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use foundry_proto::agent::v1::Refusal;
    use foundry_proto::{REFUSAL_KEY, RETRY_AFTER_KEY};
    use tonic::Status;

    use super::Ended;

    fn status(reason: &'static str) -> Status {
        let mut status = Status::permission_denied("because");
        status
            .metadata_mut()
            .insert(REFUSAL_KEY, reason.parse().unwrap());
        status
    }

    #[test]
    fn a_refusal_has_its_reason_even_if_it_is_newer_than_this_agent() {
        let reason = |name| {
            let ended = Ended::of(&status(name));
            let Ended::Refused { reason, message } = ended else {
                panic!("{ended:?}")
            };
            (reason, message)
        };
        assert_eq!(
            reason("REFUSAL_REMOVED"),
            (Refusal::Removed, "because".to_owned())
        );
        assert_eq!(reason("REFUSAL_OF_THE_FUTURE").0, Refusal::Unspecified);
        assert!(matches!(
            Ended::of(&Status::permission_denied("")),
            Ended::Lost(_)
        ));
    }

    #[test]
    fn a_busy_controller_says_when() {
        let mut status = status("REFUSAL_BUSY");
        status
            .metadata_mut()
            .insert(RETRY_AFTER_KEY, "1500".parse().unwrap());
        let Ended::Busy { retry_after } = Ended::of(&status) else {
            panic!("{status:?}")
        };
        assert_eq!(retry_after, Some(Duration::from_millis(1500)));
    }
}
