//! The async runtime, started by the commands that need one.

use std::future::Future;

use tokio::runtime::Builder;

use super::CliError;

/// Runs it to its end on this thread.
///
/// # Errors
///
/// Its own, or that the system has no room for a runtime.
pub fn block_on<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    run(Builder::new_current_thread(), work)
}

/// Runs it to its end on as many threads as there are cores: for a controller.
///
/// # Errors
///
/// Its own, or that the system has no room for a runtime.
pub fn block_on_all_cores<T>(
    work: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    run(Builder::new_multi_thread(), work)
}

fn run<T>(
    mut builder: Builder,
    work: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    let runtime = builder.enable_all().build();
    let runtime = runtime.map_err(|cause| CliError::because("cannot start", cause))?;
    let result = runtime.block_on(work);
    // A read of the terminal that nobody waits for any more must not hold up the end.
    runtime.shutdown_background();
    result
}
