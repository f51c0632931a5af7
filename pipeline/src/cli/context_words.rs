//! Lengths of training contexts.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// Words per training context: always the same number, or one drawn from a range for each context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContextWords {
    /// The smallest number.
    pub min: usize,
    /// The largest number.
    pub max: usize,
}

impl ContextWords {
    /// The middle of the range.
    pub fn middle(self) -> usize {
        self.min.midpoint(self.max)
    }
}

impl FromStr for ContextWords {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (min, max) = text.split_once("..").unwrap_or((text, text));
        match (min.parse().ok(), max.parse().ok()) {
            (Some(min), Some(max)) if 0 < min && min <= max => Ok(Self { min, max }),
            _ => Err("expected a number of words, or a range such as 30..350".to_owned()),
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
    use super::*;

    #[test]
    fn context_words_are_parsed_as_they_are_printed() {
        for (text, middle) in [("100", 100), ("3..6", 4)] {
            let words: ContextWords = text.parse().expect("valid");
            assert_eq!((words.to_string(), words.middle()), (text.to_owned(), middle));
        }
    }

    #[test]
    fn invalid_lengths_are_refused() {
        for text in ["", "0", "0..5", "9..3", "a", "3..", "-1"] {
            assert!(text.parse::<ContextWords>().is_err(), "{text}");
        }
    }
}
