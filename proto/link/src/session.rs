//! Both ends of a session as state machines without I/O and without a clock.
//!
//! The caller brings bytes to messages, hands them in with the time that has passed since an epoch of its own, and sends
//! what it is given. What the two ends promise, whatever a connection loses and whoever restarts:
//!
//! * Each numbered event reaches the controller's application exactly once and in order. It is sent again on each
//!   connection until acknowledged, and acknowledged only when stored.
//! * After Hello only the difference of assignments travels: a reconnect with nothing changed is Hello and Welcome.
//! * An assignment of a lower revision than what is held, or of the same with other content, is refused at both ends.
//! * Health and drift are latest values, progress and output are lossy with a count: memory is bounded.
//! * A session in which nothing was heard for its ttl is over, for both ends. A heartbeat is answered by an Ack, so each
//!   end hears the other.
//!
//! Of two sessions of one host the one of the newer start lives; when the boots differ too, the older is asked first
//! ([`controller::Contest`]).

pub mod agent;
pub mod controller;

#[cfg(test)]
mod simulation;

use std::collections::BTreeMap;

use bytes::Bytes;
use foundry_proto::agent::v1::{Assign, Holding};

/// The other end broke the protocol; the session is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A message that only the first may be, or that must not come before it.
    #[error("`{0}` out of place")]
    OutOfPlace(&'static str),
    /// A field that cannot be.
    #[error("{message} with a malformed {field}")]
    Malformed {
        /// The message.
        message: &'static str,
        /// Its field.
        field: &'static str,
    },
    /// More of something than anybody needs.
    #[error("more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are taken.
        limit: usize,
    },
}

/// How an assignment relates to what the host holds under its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is held under this name, or a lower revision.
    Newer,
    /// Exactly this is held.
    Held,
    /// A higher revision is held.
    Lower {
        /// The revision that is held.
        held: u64,
    },
    /// This revision is held with other content.
    Conflict,
}

/// What a host holds, by name: revision and digest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Held(BTreeMap<String, (u64, Bytes)>);

/// The largest event, in bytes as it is encoded. The agent's end cuts its texts so that none is larger.
const MOST_EVENT: usize = 128 * 1024;

/// More assignments than this on one host are a mistake.
const MOST_HOLDINGS: usize = 4096;

// === impl Verdict ===

impl Verdict {
    /// Why it is refused; `None`: it is not.
    pub fn refusal(self) -> Option<&'static str> {
        match self {
            Self::Newer | Self::Held => None,
            Self::Lower { .. } => Some("a higher revision is held"),
            Self::Conflict => Some("this revision is held with other content"),
        }
    }
}

// === impl Held ===

impl Held {
    fn of(holdings: &[Holding]) -> Self {
        let entry = |holding: &Holding| {
            (
                holding.assignment.clone(),
                (holding.revision, holding.digest.clone()),
            )
        };
        Self(holdings.iter().map(entry).collect())
    }

    fn judge(&self, assign: &Assign) -> Verdict {
        match self.0.get(&assign.name) {
            Some((held, _)) if *held > assign.revision => Verdict::Lower { held: *held },
            Some((held, digest)) if *held == assign.revision => {
                if *digest == assign.digest {
                    Verdict::Held
                } else {
                    Verdict::Conflict
                }
            }
            Some(_) | None => Verdict::Newer,
        }
    }

    fn insert(&mut self, assign: &Assign) {
        self.0.insert(
            assign.name.clone(),
            (assign.revision, assign.digest.clone()),
        );
    }

    /// This revision was rejected: nothing is known to be held under the name.
    fn rejected(&mut self, name: &str, revision: u64) {
        if self.0.get(name).is_some_and(|(held, _)| *held == revision) {
            self.0.remove(name);
        }
    }
}
