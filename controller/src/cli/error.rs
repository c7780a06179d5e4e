//! How a command ends.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use foundry_spec::SpecError;
use serde::Serialize;

/// What kind of failure it is; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It was tried, and did not work.
    Failed,
    /// The command line asks for what cannot be.
    Usage,
    /// stack.yaml, or the state that it names, does not allow it.
    Config,
    /// The user ended it.
    Interrupted,
}

/// How a command ends that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All of it is done.
    Done,
    /// Some of it is done, or what was looked at is degraded.
    Partial,
    /// The run failed; what there is to say was said.
    Failed,
    /// Changes are pending (`stack plan --exit-code`).
    Pending,
}

/// Why a command failed: one sentence, its causes, and what to do next.
#[derive(Debug)]
pub struct CliError {
    /// Decides the exit code.
    pub kind: Kind,
    /// What failed; its sources are the causes.
    pub source: Box<dyn Error + Send + Sync>,
    /// What the user may do, the likeliest first.
    pub hints: Vec<String>,
    /// Where it is the file that is wrong: every place.
    pub places: Vec<Place>,
}

/// A place in a file, with its text at hand for a caret.
#[derive(Debug, Clone)]
pub struct Place {
    /// What is wrong there.
    pub error: SpecError,
    /// The line as it stands in the file.
    pub line: String,
}

/// A sentence about a cause.
#[derive(Debug)]
struct Because {
    what: String,
    cause: Box<dyn Error + Send + Sync>,
}

// === impl Kind ===

impl From<Kind> for ExitCode {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Failed => Self::from(1),
            Kind::Usage | Kind::Config => Self::from(2),
            Kind::Interrupted => Self::from(130),
        }
    }
}

// === impl Exit ===

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Partial => 3,
            Exit::Pending => 4,
        })
    }
}

// === impl CliError ===

impl CliError {
    /// A failure of this kind.
    pub fn new(kind: Kind, what: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            kind,
            source: what.into(),
            hints: Vec::new(),
            places: Vec::new(),
        }
    }

    /// Something was tried and did not work.
    pub fn failed(what: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Kind::Failed, what)
    }

    /// The command line asks for what cannot be.
    pub fn usage(what: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Kind::Usage, what)
    }

    /// The file, or the state that it names, does not allow it.
    pub fn config(what: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Kind::Config, what)
    }

    /// The user ended it.
    pub fn interrupted() -> Self {
        Self::new(Kind::Interrupted, "interrupted")
    }

    /// Something was tried, and this is why it did not work.
    pub fn because(
        what: impl Into<String>,
        cause: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::failed(Because {
            what: what.into(),
            cause: cause.into(),
        })
    }

    /// The same, as a failure of this kind.
    #[must_use]
    pub fn of_kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// With one more thing to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// With more things to do about it.
    #[must_use]
    pub fn hints(mut self, hints: impl IntoIterator<Item = String>) -> Self {
        self.hints.extend(hints);
        self
    }

    /// With the places in the file that are wrong.
    #[must_use]
    pub fn places(self, places: Vec<Place>) -> Self {
        Self { places, ..self }
    }

    /// The causes, nearest first, each without its own. A cause that only says again what stands above it is left out.
    pub fn causes(&self) -> Vec<String> {
        let mut said = self.source.to_string();
        let mut causes = Vec::new();
        let mut next = self.source.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            if !said.ends_with(&text) {
                causes.push(text.clone());
            }
            said = text;
            next = cause.source();
        }
        causes
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

// === impl Because ===

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for Because {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.cause.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::CliError;

    #[test]
    fn causes_are_listed_once_each() {
        let inner = io::Error::other("disk full");
        let error = CliError::because("cannot write it: disk full", inner);
        assert!(error.causes().is_empty(), "{:?}", error.causes());
        let error = CliError::because("cannot write it", io::Error::other("disk full"));
        assert_eq!(error.causes(), ["disk full"]);
    }
}
