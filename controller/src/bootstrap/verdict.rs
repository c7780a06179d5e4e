//! What a host's and an agent's words come to. Functions of data.

use foundry_proto::agent::v1::{EnrolResult, enrol_result::Kind};

use super::cause::Cause;
use super::dialogue::Turn;
use super::hello::{Enrolled, Hello};
use super::order::Target;
use crate::output::time;

/// Beyond this, in seconds, certificates would not be valid on the host.
const CLOCK_LIMIT: i64 = 12 * 3600;

/// From here on it is worth a warning, in seconds.
const CLOCK_WARNING: i64 = 60;

/// What this version does not do.
pub(super) fn refuse_unsupported(target: &Target) -> Result<(), Cause> {
    if target.is_local() {
        return Err(Cause::NotSupported(
            "`address: local` does not work yet: give the host's address",
        ));
    }
    if !target.dials {
        return Err(Cause::NotSupported(
            "`reach: ssh` does not work yet: the agent must dial",
        ));
    }
    Ok(())
}

/// What keeps a machine from being a host.
pub(super) fn refuse_unfit(hello: &Hello) -> Result<(), Cause> {
    if hello.systemd.is_none() {
        return Err(Cause::NoSystemd {
            init: hello.init.clone(),
        });
    }
    let offset = clock_offset(hello);
    if offset.abs() > CLOCK_LIMIT {
        Err(Cause::Clock { offset })
    } else {
        Ok(())
    }
}

/// Seconds that the host's clock is ahead of this one.
pub(super) fn clock_offset(hello: &Hello) -> i64 {
    if hello.clock == 0 {
        0
    } else {
        hello.clock - jiff::Timestamp::now().as_second()
    }
}

/// What should be looked at, though nothing stops for it.
pub(super) fn warnings(hello: &Hello) -> Vec<String> {
    let offset = clock_offset(hello);
    if offset.abs() < CLOCK_WARNING {
        Vec::new()
    } else {
        vec![Cause::Clock { offset }.to_string()]
    }
}

/// The host belongs to this fleet and is not taken over.
pub(super) fn other_fleet(other: &Enrolled) -> Cause {
    let since = u64::try_from(other.since).unwrap_or_default();
    let since = if since == 0 {
        String::new()
    } else {
        time::local(since.saturating_mul(1000))
    };
    Cause::OtherFleet {
        fleet: other.fleet.clone(),
        since,
    }
}

/// The agent's last word.
pub(super) fn outcome(result: EnrolResult) -> Result<(), Cause> {
    match result.kind() {
        Kind::Enrolled => Ok(()),
        Kind::Unreachable => Err(Cause::Unreachable(result.message)),
        Kind::Disk => Err(Cause::NoSpace),
        Kind::Unspecified | Kind::Clock | Kind::Systemd | Kind::Failed => {
            Err(Cause::Agent(result.message))
        }
    }
}

/// The far side says what it may, but not now.
pub(super) fn out_of_turn(turn: &Turn) -> Cause {
    let what = match turn {
        Turn::Password => "a question of sudo's",
        Turn::Hello(_) => "a second greeting",
        Turn::Offer(_) => "a second offer",
        Turn::Result(result) => return Cause::Agent(result.message.clone()),
        Turn::Ended | Turn::Journal(_) => "the end of the agent's enrolment",
        Turn::Closed => "the end of the connection",
    };
    Cause::Protocol(format!("{what} came out of turn"))
}

#[cfg(test)]
mod tests {
    use foundry_proto::agent::v1::{EnrolResult, enrol_result::Kind};

    use super::{clock_offset, other_fleet, outcome, warnings};
    use crate::bootstrap::cause::Cause;
    use crate::bootstrap::hello::{Enrolled, Hello};

    #[test]
    fn a_clock_far_off_is_a_cause_and_a_near_one_a_warning() {
        let now = jiff::Timestamp::now().as_second();
        let behind = Hello {
            clock: now - 14 * 3600,
            ..Hello::default()
        };
        let offset = clock_offset(&behind);
        assert_eq!(Cause::Clock { offset }.to_string(), "clock is 14 h behind");
        let near = Hello {
            clock: now + 601,
            ..Hello::default()
        };
        assert_eq!(warnings(&near), ["clock is 10 min ahead"]);
        assert!(
            warnings(&Hello {
                clock: now,
                ..Hello::default()
            })
            .is_empty()
        );
    }

    #[test]
    fn another_fleet_is_named_with_its_age() {
        let other = Enrolled {
            fleet: "old-1".to_owned(),
            host_id: String::new(),
            since: 0,
        };
        assert_eq!(
            other_fleet(&other).to_string(),
            "it belongs to fleet `old-1`"
        );
        let other = Enrolled {
            since: 1_700_000_000,
            ..other
        };
        assert!(
            other_fleet(&other)
                .to_string()
                .starts_with("it belongs to fleet `old-1` since 2023-11-1")
        );
    }

    #[test]
    fn the_agents_last_word_has_names() {
        let result = |kind: Kind| EnrolResult {
            kind: kind.into(),
            message: "10.0.0.5:7443 not reachable from host".to_owned(),
            ..Default::default()
        };
        assert_eq!(outcome(result(Kind::Enrolled)), Ok(()));
        let unreachable = outcome(result(Kind::Unreachable)).unwrap_err();
        assert_eq!(
            unreachable.to_string(),
            "10.0.0.5:7443 not reachable from host"
        );
        assert_eq!(outcome(result(Kind::Disk)), Err(Cause::NoSpace));
    }
}
