//! Two sessions of one host: which of them lives.

use std::time::Duration;

use foundry_proto::agent::v1::Hello;

/// How long the older session has to answer when another boot claims its identity.
const PROBE: Duration = Duration::from_secs(2);

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
    /// Another boot. The host restarted, or two machines use one identity: the living session is asked ([`Probe`]).
    OtherBoot,
}

/// The living session is asked for a sign of life.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    until: Duration,
    answered: bool,
}

/// What a probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Not known yet.
    Waiting,
    /// The older session is silent: the new one takes over.
    Silent,
    /// Both live: two machines use one identity, and neither gets work.
    Duplicate,
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

// === impl Probe ===

impl Probe {
    /// Asked now.
    pub fn new(now: Duration) -> Self {
        Self {
            until: now + PROBE,
            answered: false,
        }
    }

    /// The living session was heard after it was asked.
    pub fn answered(&mut self) {
        self.answered = true;
    }

    /// What is known by now.
    pub fn found(&self, now: Duration) -> Found {
        if self.answered {
            Found::Duplicate
        } else if now >= self.until {
            Found::Silent
        } else {
            Found::Waiting
        }
    }

    /// When it is decided at the latest.
    pub fn deadline(&self) -> Duration {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Contest, Found, Probe, Start};

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

    #[test]
    fn another_boot_wins_over_silence_only() {
        let mut probe = Probe::new(Duration::from_secs(10));
        assert_eq!(probe.found(Duration::from_millis(11_999)), Found::Waiting);
        assert_eq!(probe.found(Duration::from_secs(12)), Found::Silent);
        probe.answered();
        assert_eq!(probe.found(Duration::from_secs(12)), Found::Duplicate);
    }
}
