//! Shares of a whole.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A share of a whole, from 0 to below 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Share(pub f64);

impl FromStr for Share {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let share = text.parse().ok().filter(|share| (0.0..1.0).contains(share));
        share.map(Self).ok_or("expected a number from 0 to below 1")
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_below_one() {
        assert_eq!("0.15".parse(), Ok(Share(0.15)));
        assert_eq!("0".parse(), Ok(Share(0.0)));
        for bad in ["", "1", "-0.1", "15%", "NaN"] {
            assert!(bad.parse::<Share>().is_err(), "{bad:?}");
        }
    }
}
