//! What happened on the hosts: a stream.

use foundry_proto::operator::v1 as wire;
use serde::Serialize;

use super::plan::filled;
use crate::output::time;

/// An event.
#[derive(Debug, Clone, Serialize)]
pub struct EventDocument {
    /// Counts up over the whole fleet.
    pub number: u64,
    /// When the controller recorded it.
    pub at: Option<String>,
    /// Its host; none for the fleet's own.
    pub host: Option<String>,
    /// Its assignment.
    pub assignment: Option<String>,
    /// The assignment's revision.
    pub revision: Option<u64>,
    /// `accepted`, `rejected`, `task`, `outcome`, `health`, `drift`, `connected`, `disconnected`, `refused`, `enrolled`,
    /// `removed`, or `run`.
    pub kind: String,
    /// What happened.
    pub text: String,
    /// The run that it belongs to.
    pub run: Option<String>,
    #[serde(skip)]
    pub(crate) at_ms: u64,
}

impl From<&wire::EventRecord> for EventDocument {
    fn from(event: &wire::EventRecord) -> Self {
        Self {
            number: event.number,
            at: time::moment(event.at_ms),
            host: filled(&event.host),
            assignment: filled(&event.assignment),
            revision: (event.revision > 0).then_some(event.revision),
            kind: event.kind.clone(),
            text: event.text.clone(),
            run: filled(&event.run),
            at_ms: event.at_ms,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use foundry_proto::operator::v1 as wire;

    use super::EventDocument;

    pub(crate) fn sample() -> EventDocument {
        EventDocument::from(&wire::EventRecord {
            number: 17,
            at_ms: 1_700_000_000_123,
            host: "node1".to_owned(),
            assignment: "service/whoami".to_owned(),
            revision: 3,
            kind: "health".to_owned(),
            text: "healthy: 200 from http://127.0.0.1:8080/health".to_owned(),
            run: String::new(),
        })
    }

    #[test]
    fn the_shape_is_fixed() {
        insta::assert_json_snapshot!(sample());
    }
}
