//! The container runtime that tasks use, and what it means that none answers.

use std::sync::Arc;

use foundry_host::Containers;
use foundry_host::containers::{ContainersError, RuntimeKind};

use super::difference::Difference;
use super::{Context, TaskError};

/// The runtime, or why nothing can be told of `what` without one. Changes nothing: Podman's socket is opened by an apply.
pub(super) async fn chosen(
    cx: &Context,
    what: &str,
) -> Result<Result<Arc<dyn Containers>, Difference>, TaskError> {
    match cx.host.runtimes.chosen().await {
        Ok(runtime) => Ok(Ok(runtime)),
        Err(ContainersError::None { found }) => {
            let has_podman = found
                .iter()
                .any(|runtime| runtime.kind == RuntimeKind::Podman);
            Ok(Err(if has_podman {
                Difference::create(format!("{what}, known after Podman's socket is opened"))
            } else {
                Difference::Waiting(ContainersError::None { found }.to_string())
            }))
        }
        Err(error) => Err(error.into()),
    }
}
