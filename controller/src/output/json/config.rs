//! What is said about stack.yaml.

use serde::Serialize;

/// `config validate` and `stack validate`.
#[derive(Debug, Clone, Serialize)]
pub struct ValidDocument {
    /// The file.
    pub file: String,
    /// It can be used.
    pub valid: bool,
    /// What should be looked at.
    pub warnings: Vec<String>,
    /// With `stack validate`: what was tried.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckDocument>,
}

/// One thing that was tried.
#[derive(Debug, Clone, Serialize)]
pub struct CheckDocument {
    /// What it is.
    pub name: String,
    /// Where.
    pub host: Option<String>,
    /// It is as it should be.
    pub ok: bool,
    /// What was found.
    pub message: String,
    /// What to do about it.
    pub hints: Vec<String>,
}

/// A file that was written.
#[derive(Debug, Clone, Serialize)]
pub struct WrittenDocument {
    /// The file.
    pub file: String,
    /// The fleet that it names.
    pub fleet: Option<String>,
    /// What was done to it.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::{CheckDocument, ValidDocument};

    #[test]
    fn the_shape_is_fixed() {
        let document = ValidDocument {
            file: "stack.yaml".to_owned(),
            valid: false,
            warnings: vec!["stack.yaml:3:1: `cluster.nodes` is the older shape".to_owned()],
            checks: vec![CheckDocument {
                name: "ssh".to_owned(),
                host: Some("node1".to_owned()),
                ok: false,
                message: "connection refused".to_owned(),
                hints: Vec::new(),
            }],
        };
        insta::assert_json_snapshot!(document);
    }
}
