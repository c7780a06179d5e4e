//! Amounts with units: durations, bytes, parts of a CPU.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// A length of time: `500ms`, `5s`, `2m`, `1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

/// An amount of memory: `64Mi`, `512M`, `1Gi`, or a plain number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(u64);

/// Thousandths of a CPU: `0.5`, `2`, `250m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MilliCpus(u64);

/// Text that is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not {what}: {rule}")]
pub struct QuantityError {
    given: String,
    what: &'static str,
    rule: &'static str,
}

const DURATION_UNITS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1000),
    ("m", 60 * 1000),
    ("h", 60 * 60 * 1000),
];

const BYTE_UNITS: &[(&str, u64)] = &[
    ("Ti", 1 << 40),
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
    ("T", 1_000_000_000_000),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
    ("k", 1000),
    ("K", 1000),
];

/// A whole number followed by one of the units, multiplied out.
fn with_unit(given: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = given.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = given.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

// === impl Span ===

impl Span {
    /// The longest that makes sense for a probe or a deadline.
    const MOST: u64 = 24 * 60 * 60 * 1000;

    /// As the standard library's type.
    pub fn as_duration(self) -> Duration {
        self.0
    }

    /// In milliseconds.
    pub fn as_millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl FromStr for Span {
    type Err = QuantityError;

    fn from_str(given: &str) -> Result<Self, QuantityError> {
        let rule = "a whole number with ms, s, m or h, from 1ms to 24h, such as `5s`";
        with_unit(given, DURATION_UNITS)
            .filter(|ms| (1..=Self::MOST).contains(ms))
            .map(|ms| Self(Duration::from_millis(ms)))
            .ok_or_else(|| QuantityError {
                given: given.to_owned(),
                what: "a duration",
                rule,
            })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.as_millis();
        let (unit, factor) = DURATION_UNITS
            .iter()
            .rev()
            .find(|(_, factor)| ms.is_multiple_of(*factor))
            .copied()
            .unwrap_or(("ms", 1));
        write!(f, "{}{unit}", ms / factor)
    }
}

// === impl Bytes ===

impl Bytes {
    /// What a container needs at least; runtimes refuse less.
    const LEAST: u64 = 6 * 1024 * 1024;

    /// As a number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl FromStr for Bytes {
    type Err = QuantityError;

    fn from_str(given: &str) -> Result<Self, QuantityError> {
        let rule = "a whole number of bytes, or with Ki, Mi, Gi, K, M or G, at least 6Mi";
        given
            .parse()
            .ok()
            .or_else(|| with_unit(given, BYTE_UNITS))
            .filter(|bytes| *bytes >= Self::LEAST)
            .map(Self)
            .ok_or_else(|| QuantityError {
                given: given.to_owned(),
                what: "an amount of memory",
                rule,
            })
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, factor): &&(&str, u64)| self.0.is_multiple_of(*factor);
        match BYTE_UNITS
            .iter()
            .filter(fits)
            .max_by_key(|(_, factor)| *factor)
        {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => self.0.fmt(f),
        }
    }
}

// === impl MilliCpus ===

impl MilliCpus {
    /// Thousandths.
    pub fn get(self) -> u64 {
        self.0
    }

    fn read(given: &str) -> Option<u64> {
        if let Some(thousandths) = given.strip_suffix('m') {
            return thousandths.parse().ok();
        }
        let (whole, part) = given.split_once('.').unwrap_or((given, ""));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || part.len() > 3 || !digits(whole) || !digits(part) {
            return None;
        }
        let part: u64 = format!("{part:0<3}").parse().ok()?;
        whole
            .parse::<u64>()
            .ok()?
            .checked_mul(1000)?
            .checked_add(part)
    }
}

impl FromStr for MilliCpus {
    type Err = QuantityError;

    fn from_str(given: &str) -> Result<Self, QuantityError> {
        let rule = "a number with at most three decimals, such as `0.5`, or thousandths, `500m`";
        Self::read(given)
            .filter(|millis| (1..=1_000_000).contains(millis))
            .map(Self)
            .ok_or_else(|| QuantityError {
                given: given.to_owned(),
                what: "a number of CPUs",
                rule,
            })
    }
}

impl fmt::Display for MilliCpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 1000, self.0 % 1000);
        if part == 0 {
            return whole.fmt(f);
        }
        let part = format!("{part:03}");
        write!(f, "{whole}.{}", part.trim_end_matches('0'))
    }
}

macro_rules! serialize_as_text {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}

serialize_as_text!(Span, Bytes, MilliCpus);

#[cfg(test)]
mod tests {
    use super::{Bytes, MilliCpus, Span};

    #[test]
    fn durations() {
        for (text, ms, shown) in [
            ("500ms", 500, "500ms"),
            ("5s", 5000, "5s"),
            ("90s", 90_000, "90s"),
            ("120s", 120_000, "2m"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!((span.as_millis(), span.to_string().as_str()), (ms, shown));
        }
        for bad in [
            "",
            "5",
            "s",
            "0s",
            "1.5s",
            "-1s",
            "5 s",
            "25h",
            "99999999999999999999s",
        ] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn memory() {
        for (text, bytes, shown) in [
            ("64Mi", 64 << 20, "64Mi"),
            ("512M", 512_000_000, "512M"),
            ("1073741824", 1 << 30, "1Gi"),
            ("6291457", 6_291_457, "6291457"),
        ] {
            let amount: Bytes = text.parse().unwrap();
            assert_eq!((amount.get(), amount.to_string().as_str()), (bytes, shown));
        }
        for bad in ["", "1Mi", "64mb", "64 Mi", "-1", "99999999Ti"] {
            assert!(bad.parse::<Bytes>().is_err(), "{bad}");
        }
    }

    #[test]
    fn cpus() {
        for (text, millis, shown) in [
            ("0.5", 500, "0.5"),
            ("2", 2000, "2"),
            ("250m", 250, "0.25"),
            ("1.125", 1125, "1.125"),
        ] {
            let cpus: MilliCpus = text.parse().unwrap();
            assert_eq!((cpus.get(), cpus.to_string().as_str()), (millis, shown));
        }
        for bad in ["", "0", ".5", "0.0001", "-1", "two", "1e3"] {
            assert!(bad.parse::<MilliCpus>().is_err(), "{bad}");
        }
    }
}
