//! Lengths of training contexts.

use std::fmt;
use std::str::FromStr;

use rand::RngExt;
use rand::rngs::StdRng;
use serde::{Serialize, Serializer};

/// Words of consecutive sentences in one context: always the same limit, or one drawn for each context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContextWords {
    min: usize,
    max: usize,
}

impl ContextWords {
    /// The limit of a context; a range draws it, each length alike.
    pub(crate) fn draw(self, random: &mut StdRng) -> usize {
        if self.min == self.max { self.max } else { random.random_range(self.min..=self.max) }
    }

    /// The length in the middle.
    pub(crate) fn middle(self) -> usize {
        self.min.midpoint(self.max)
    }
}

impl FromStr for ContextWords {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (min, max) = text.split_once("..").unwrap_or((text, text));
        let number = |text: &str| text.parse().ok();
        match (number(min), number(max)) {
            (Some(min), Some(max)) if 0 < min && min <= max => Ok(Self { min, max }),
            _ => Err(format!("{text:?} is neither a number of words nor a range such as 30..350")),
        }
    }
}

impl fmt::Display for ContextWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max { write!(f, "{}", self.max) } else { write!(f, "{}..{}", self.min, self.max) }
    }
}

impl Serialize for ContextWords {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_number_is_fixed_and_a_range_is_drawn_from_completely() {
        let mut random = StdRng::seed_from_u64(1);
        let fixed: ContextWords = "100".parse().unwrap();
        assert_eq!((fixed.draw(&mut random), fixed.middle(), fixed.to_string()), (100, 100, "100".to_owned()));
        let range: ContextWords = "3..6".parse().unwrap();
        let mut drawn: Vec<usize> = (0..200).map(|_| range.draw(&mut random)).collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!((drawn, range.to_string()), (vec![3, 4, 5, 6], "3..6".to_owned()));
    }

    #[test]
    fn invalid_lengths_are_refused() {
        for text in ["", "0", "0..5", "9..3", "a", "3..", "-1"] {
            assert!(text.parse::<ContextWords>().unwrap_err().contains(text), "{text}");
        }
    }
}
