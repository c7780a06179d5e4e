//! From stack.yaml to assignments: what each host should have, as the bytes that it is sent.
//!
//! Pure. The same file and archives give the same bytes, so that a digest that a host reports tells whether it has what
//! the file wants: lists without a meaning in their order are sorted, nothing of the moment goes in.

mod archive;
mod problem;
mod service;

pub use archive::{Archive, ArchiveError};
pub use foundry_plan::Desired;
pub use problem::StackError;

use foundry_spec::Stack;

/// What the hosts of the file should have.
///
/// # Errors
///
/// Everything that keeps the file from being carried out: archives that were not described, references to secrets.
pub fn desired(stack: &Stack, archives: &[Archive]) -> Result<Vec<Desired>, Vec<StackError>> {
    let mut wanted = Vec::new();
    let mut errors = Vec::new();
    for service in &stack.services {
        match service::assignments(service, archives) {
            Ok(assignments) => wanted.extend(assignments),
            Err(found) => errors.extend(found),
        }
    }
    if errors.is_empty() {
        Ok(wanted)
    } else {
        Err(errors)
    }
}

/// What the file declares and this version of foundry does not do.
pub fn warnings(stack: &Stack) -> Vec<String> {
    let components = stack.components.iter().map(|component| {
        format!(
            "component {} is declared; this version of foundry installs services only",
            component.kind
        )
    });
    let storage = stack.storage.truenas.as_ref().map(|_| {
        "storage truenas is declared; this version of foundry installs services only".to_owned()
    });
    components.chain(storage).collect()
}

#[cfg(test)]
mod tests;
