//! Ages, durations and moments, for people and for JSON.

use std::time::Duration;

/// `12 s`, `4 min`, `3 h`, `2 d`: the largest unit that fits.
pub fn age(milliseconds: u64) -> String {
    match milliseconds / 1000 {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7199 => format!("{} min", seconds / 60),
        seconds @ 7200..=172_799 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// `0.4 s`, `12.3 s`, `4 min 5 s`.
pub fn duration(milliseconds: u64) -> String {
    match milliseconds {
        0..=59_999 => format!("{:.1} s", Duration::from_millis(milliseconds).as_secs_f64()),
        _ => format!(
            "{} min {} s",
            milliseconds / 60_000,
            milliseconds / 1000 % 60
        ),
    }
}

/// RFC 3339 in UTC; nothing for 0, which means never.
pub fn moment(milliseconds: u64) -> Option<String> {
    let milliseconds = i64::try_from(milliseconds)
        .ok()
        .filter(|moment| *moment > 0)?;
    jiff::Timestamp::from_millisecond(milliseconds)
        .ok()
        .map(|moment| format!("{moment:.3}"))
}

/// Date and time of day in the user's time zone.
pub fn local(milliseconds: u64) -> String {
    let moment = i64::try_from(milliseconds)
        .ok()
        .and_then(|moment| jiff::Timestamp::from_millisecond(moment).ok());
    let Some(moment) = moment else {
        return "-".to_owned();
    };
    moment
        .to_zoned(jiff::tz::TimeZone::system())
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::{age, duration, moment};

    #[test]
    fn ages_read_well() {
        assert_eq!(age(0), "0 s");
        assert_eq!(age(119_999), "119 s");
        assert_eq!(age(120_000), "2 min");
        assert_eq!(age(7_200_000), "2 h");
        assert_eq!(age(200_000_000), "2 d");
        assert_eq!(duration(1_234), "1.2 s");
        assert_eq!(duration(65_000), "1 min 5 s");
    }

    #[test]
    fn moments_are_rfc_3339() {
        assert_eq!(
            moment(1_700_000_000_123).as_deref(),
            Some("2023-11-14T22:13:20.123Z")
        );
        assert_eq!(moment(0), None);
    }
}
