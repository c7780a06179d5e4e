//! What is said about a file: errors that stop it, warnings that do not.

use std::fmt;

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError {
    /// The file's name as given to [`crate::parse`].
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// Byte offset of what is wrong, for a caret under it.
    pub offset: usize,
    /// Its length in bytes; 0 where something is missing.
    pub length: usize,
    /// Lower-case, one line.
    pub message: String,
    /// What would be right, where the message does not say it.
    pub expected: Option<String>,
    /// What to do: the nearest name, another spelling.
    pub hint: Option<String>,
}

/// One thing that works but should be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecWarning {
    /// The file's name as given to [`crate::parse`].
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// Lower-case, one line.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

// === impl SpecError ===

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.file, self.line, self.column, self.message
        )
    }
}

impl std::error::Error for SpecError {}

// === impl SpecWarning ===

impl fmt::Display for SpecWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.file, self.line, self.column, self.message
        )
    }
}
