//! `{"error": …}` on standard error.

use serde::Serialize;

use crate::cli::{CliError, Kind};

/// Why a command failed.
#[derive(Debug, Serialize)]
pub struct ErrorDocument {
    /// The only key.
    pub error: ErrorBody,
}

/// What failed, why, and what to do.
#[derive(Debug, Serialize)]
pub struct ErrorBody {
    /// Decides the exit code.
    pub kind: Kind,
    /// What failed.
    pub message: String,
    /// Nearest first.
    pub causes: Vec<String>,
    /// What to do next.
    pub hints: Vec<String>,
    /// Every place in the file that is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<PlaceDocument>,
}

/// A place in stack.yaml.
#[derive(Debug, Serialize)]
pub struct PlaceDocument {
    /// As it was named.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
}

// === impl ErrorDocument ===

impl ErrorDocument {
    /// The document of this error.
    pub fn of(error: &CliError) -> Self {
        let places = error.places.iter().map(|place| PlaceDocument {
            file: place.error.file.clone(),
            line: place.error.line,
            column: place.error.column,
            message: place.error.message.clone(),
            hint: place.error.hint.clone(),
        });
        Self {
            error: ErrorBody {
                kind: error.kind,
                message: error.to_string(),
                causes: error.causes(),
                hints: error.hints.clone(),
                places: places.collect(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::ErrorDocument;
    use crate::cli::CliError;

    #[test]
    fn the_shape_is_fixed() {
        let error =
            CliError::because("cannot reach node1", io::Error::other("refused")).hint("is it on?");
        insta::assert_json_snapshot!(ErrorDocument::of(&error), @r#"
        {
          "error": {
            "kind": "failed",
            "message": "cannot reach node1",
            "causes": [
              "refused"
            ],
            "hints": [
              "is it on?"
            ]
          }
        }
        "#);
    }
}
