//! How bringing the agent to hosts went.

use serde::Serialize;

/// `host bootstrap`.
#[derive(Debug, Clone, Serialize)]
pub struct EnrolmentsDocument {
    /// In the order of the file.
    pub hosts: Vec<EnrolmentDocument>,
}

/// One host.
#[derive(Debug, Clone, Serialize)]
pub struct EnrolmentDocument {
    /// Its name.
    pub name: String,
    /// `enrolled`, `unchanged`, or `failed`.
    pub outcome: &'static str,
    /// Why it failed.
    pub cause: Option<String>,
    /// What to do about it.
    pub hints: Vec<String>,
    /// What should be looked at although it went well.
    pub warnings: Vec<String>,
    /// The agent was sent, and its size on the way.
    pub sent_bytes: u64,
    /// How long it took.
    pub duration_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::{EnrolmentDocument, EnrolmentsDocument};

    #[test]
    fn the_shape_is_fixed() {
        let host = EnrolmentDocument {
            name: "node1".to_owned(),
            outcome: "failed",
            cause: Some("connection refused".to_owned()),
            hints: vec!["is sshd running there?".to_owned()],
            warnings: Vec::new(),
            sent_bytes: 0,
            duration_ms: 31,
        };
        insta::assert_json_snapshot!(EnrolmentsDocument { hosts: vec![host] });
    }
}
