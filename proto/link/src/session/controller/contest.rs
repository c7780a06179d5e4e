//! Two sessions of one host: which of them lives.

use std::time::Duration;

use foundry_proto::agent::v1::Hello;

/// How long the living session has to answer a ping when another boot claims its identity. Silent, it gives way;
/// answering, two machines use one identity, and neither gets work.
pub const PROBE: Duration = Duration::from_secs(2);

/// A start of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    boot: String,
    start: u64,
}

/// How a new session relates to the one that lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contest {
    /// The same start dialled again, or a later one on this boot: it takes over.
    Newer,
    /// An earlier start on this boot: refused.
    Older,
    /// Another boot. The host restarted, or two machines use one identity: the living session is pinged ([`PROBE`]).
    OtherBoot,
}

// === impl Start ===

impl Start {
    /// The start that this Hello is of.
    pub fn of(hello: &Hello) -> Self {
        Self {
            boot: hello.boot_id.clone(),
            start: hello.start_id,
        }
    }

    /// The kernel's boot id.
    pub fn boot(&self) -> &str {
        &self.boot
    }

    /// How this one, which is new, relates to the one that lives.
    pub fn against(&self, living: &Self) -> Contest {
        if self.boot != living.boot {
            Contest::OtherBoot
        } else if self.start >= living.start {
            Contest::Newer
        } else {
            Contest::Older
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Contest, Start};

    fn start(boot: &str, start: u64) -> Start {
        Start {
            boot: boot.to_owned(),
            start,
        }
    }

    #[test]
    fn the_newer_start_on_one_boot_lives() {
        assert_eq!(start("a", 2).against(&start("a", 1)), Contest::Newer);
        assert_eq!(start("a", 1).against(&start("a", 1)), Contest::Newer);
        assert_eq!(start("a", 1).against(&start("a", 2)), Contest::Older);
        assert_eq!(start("b", 1).against(&start("a", 2)), Contest::OtherBoot);
    }
}
