//! Numbers of the command line and settings files.

use std::fmt;
use std::num::{IntErrorKind, ParseIntError};
use std::str::FromStr;

use serde::Serialize;

/// Parses a whole number.
///
/// # Errors
/// What is wrong with the text, in the words of a message.
pub fn whole<N: FromStr<Err = ParseIntError>>(text: &str) -> Result<N, &'static str> {
    text.parse().map_err(|error: ParseIntError| match error.kind() {
        IntErrorKind::Zero => "must be at least 1",
        IntErrorKind::PosOverflow => "too large",
        IntErrorKind::NegOverflow => "too small",
        _ => "not a whole number",
    })
}

/// Numbers with a limit, checked when they are parsed.
macro_rules! limited {
    ($($(#[$doc:meta])* $name:ident, $limit:expr, $expected:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Serialize)]
        pub struct $name(pub f64);

        impl FromStr for $name {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let limit: fn(&f64) -> bool = $limit;
                let number: f64 = text.parse().map_err(|_| "not a number")?;
                Some(number).filter(limit).map(Self).ok_or($expected)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

limited! {
    /// A share of a whole, which may be all of it.
    Fraction, |number| (0.0..=1.0).contains(number), "expected a number from 0 to 1";
    /// A share of a whole, of which something is left.
    Share, |number| (0.0..1.0).contains(number), "expected a number from 0 to below 1";
    /// A finite number above 0.
    Positive, |number| *number > 0.0 && number.is_finite(), "expected a number above 0";
    /// A finite number from 0.
    NotNegative, |number| *number >= 0.0 && number.is_finite(), "expected a number of at least 0";
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    #[test]
    fn what_is_wrong_with_a_number_is_said_in_plain_words() {
        assert_eq!(whole::<u64>("7"), Ok(7));
        assert_eq!(whole::<NonZeroUsize>("0"), Err("must be at least 1"));
        assert_eq!(whole::<u64>("99999999999999999999"), Err("too large"));
        for bad in ["", "1.5", "7x"] {
            assert_eq!(whole::<i32>(bad), Err("not a whole number"), "{bad:?}");
        }
    }

    #[test]
    fn numbers_have_limits() {
        assert_eq!(["0", "0.3", "1"].map(str::parse), [0.0, 0.3, 1.0].map(|number| Ok(Fraction(number))));
        assert_eq!("1.5e-4".parse(), Ok(Positive(1.5e-4)));
        assert_eq!("0".parse(), Ok(NotNegative(0.0)));
        for bad in ["", "x", "nan", "-0.1", "inf"] {
            assert!(bad.parse::<Fraction>().is_err() && bad.parse::<NotNegative>().is_err(), "{bad:?}");
            assert!(bad.parse::<Positive>().is_err(), "{bad:?}");
        }
        assert!("1".parse::<Share>().is_err() && "0.15".parse() == Ok(Share(0.15)));
        assert_eq!("2".parse::<Fraction>(), Err("expected a number from 0 to 1"));
        assert_eq!("0".parse::<Positive>(), Err("expected a number above 0"));
    }
}
