//! An error with all its causes in one line of text.

use std::error::Error;
use std::fmt;

/// Displays an error and, after colons, its causes.
pub(crate) struct ErrorChain<'a>(pub(crate) &'a dyn Error);

// === impl ErrorChain ===

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
