//! Amounts with a unit: shares of records, bytes, time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;

/// How many records may be wrong: rejected, or counted differently.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// A share of all records, from 0 to 1.
    Share(f64),
    /// A number of records.
    Count(u64),
}

impl Tolerance {
    /// Whether this many wrong records among this many records are too many.
    pub fn exceeded_by(self, wrong: u64, records: u64) -> bool {
        match self {
            Self::Share(share) => wrong as f64 > share * records as f64,
            Self::Count(count) => wrong > count,
        }
    }
}

impl Default for Tolerance {
    fn default() -> Self {
        Self::Share(0.001)
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) => write!(f, "{}%", share * 100.0),
            Self::Count(count) => count.fmt(f),
        }
    }
}

impl FromStr for Tolerance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = match text.strip_suffix('%') {
            Some(percent) => {
                percent.parse().ok().filter(|p| (0.0..=100.0).contains(p)).map(|p: f64| Self::Share(p / 100.0))
            }
            None => text.parse().ok().map(Self::Count),
        };
        parsed.ok_or_else(|| "expected a percentage such as 0.1%, or a number of records".to_owned())
    }
}

/// An amount of memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(pub u64);

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB", self.0 as f64 / f64::from(1 << 20))
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const UNITS: [(&str, u64); 6] = [
            ("GiB", 1 << 30),
            ("MiB", 1 << 20),
            ("GB", 1_000_000_000),
            ("MB", 1_000_000),
            ("G", 1 << 30),
            ("M", 1 << 20),
        ];
        let parsed = UNITS.iter().find_map(|(unit, bytes)| {
            let number: f64 = text.strip_suffix(unit)?.trim().parse().ok()?;
            (number > 0.0 && number.is_finite()).then_some(Self((number * *bytes as f64) as u64))
        });
        parsed.ok_or_else(|| "expected a size with a unit, such as 12GiB or 500MB".to_owned())
    }
}

/// A span of time: a number of seconds, or a number with a unit, such as `90s` or `1m 30s`.
///
/// # Errors
/// The text is neither, or negative.
pub fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let with_unit = || text.parse::<SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok());
    seconds.or_else(with_unit).ok_or_else(|| "expected a number of seconds, or a duration such as 90s or 2m".to_owned())
}

/// A span of time as [`duration`] reads it.
pub fn show_duration(duration: Duration) -> String {
    SignedDuration::try_from(duration)
        .map_or_else(|_| format!("{}", duration.as_secs_f64()), |span| format!("{span:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_are_limited_by_share_or_by_number() {
        let tenth_of_percent: Tolerance = "0.1%".parse().expect("a share");
        assert_eq!(tenth_of_percent, Tolerance::default());
        assert!(!tenth_of_percent.exceeded_by(1, 1000));
        assert!(tenth_of_percent.exceeded_by(2, 1000));
        let three: Tolerance = "3".parse().expect("a number");
        assert!(!three.exceeded_by(3, 4) && three.exceeded_by(4, 4_000_000));
        assert!(!Tolerance::Count(0).exceeded_by(0, 0) && !Tolerance::Share(0.0).exceeded_by(0, 0));
        for bad in ["", "-1", "101%", "0.5", "x%", "NaN%"] {
            assert!(bad.parse::<Tolerance>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn memory_needs_a_unit() {
        assert_eq!("12GiB".parse(), Ok(ByteSize(12 << 30)));
        assert_eq!("1.5 GB".parse(), Ok(ByteSize(1_500_000_000)));
        assert_eq!("500M".parse(), Ok(ByteSize(500 << 20)));
        for bad in ["", "12", "GiB", "-1GiB", "0GiB", "NaNGB", "infGB"] {
            assert!(bad.parse::<ByteSize>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn durations_are_seconds_or_have_a_unit() {
        for (text, seconds) in [("30", 30.0), ("0.5", 0.5), ("30s", 30.0), ("1m 30s", 90.0), ("0", 0.0)] {
            assert_eq!(duration(text), Ok(Duration::from_secs_f64(seconds)), "{text}");
        }
        for bad in ["", "-1", "soon", "-5s", "NaN", "inf"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn printed_values_can_be_parsed() {
        assert_eq!(Tolerance::default().to_string().parse(), Ok(Tolerance::default()));
        assert_eq!(ByteSize(12 << 30).to_string().parse(), Ok(ByteSize(12 << 30)));
        assert_eq!(duration(&show_duration(Duration::from_millis(90_500))), Ok(Duration::from_millis(90_500)));
    }
}
