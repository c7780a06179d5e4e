//! Refusals as an agent reads them: a status with the reason in its metadata.

use std::time::Duration;

use foundry_proto::agent::v1::Refusal;
use foundry_proto::{REFUSAL_KEY, RETRY_AFTER_KEY};
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

/// The status of a refused call.
pub(super) fn status(reason: Refusal) -> Status {
    let (code, text) = match reason {
        Refusal::Unspecified => (Code::PermissionDenied, "refused"),
        Refusal::Removed => (
            Code::PermissionDenied,
            "this host was removed from the fleet",
        ),
        Refusal::OldEpoch => (
            Code::PermissionDenied,
            "this certificate is of an earlier enrolment of the host",
        ),
        Refusal::UnknownKey => (Code::PermissionDenied, "this key is not admitted"),
        Refusal::Duplicate => (Code::PermissionDenied, "identity used twice"),
        Refusal::Protocol => (Code::FailedPrecondition, "no protocol version in common"),
        Refusal::NotAHost => (
            Code::PermissionDenied,
            "not the certificate of a host of this fleet",
        ),
        Refusal::Busy => (Code::Unavailable, "the controller is busy"),
    };
    let mut status = Status::new(code, text);
    if let Ok(name) = MetadataValue::try_from(reason.as_str_name()) {
        status.metadata_mut().insert(REFUSAL_KEY, name);
    }
    status
}

/// Come back after this long.
pub(super) fn busy(retry_after: Duration) -> Status {
    let mut status = status(Refusal::Busy);
    let ms = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
    status
        .metadata_mut()
        .insert(RETRY_AFTER_KEY, MetadataValue::from(ms));
    status
}
