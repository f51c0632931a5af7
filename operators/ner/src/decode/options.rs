//! Options of decoding.

use std::fmt;
use std::str::FromStr;

/// What gets a tag, and from which tokens' scores. Names and meanings are those of `transformers`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Aggregation {
    /// Each token separately; a mention may begin or end inside a word.
    Simple,
    /// Each word, from its first token; BERT taggers are trained this way.
    #[default]
    First,
    /// Each word, from the mean of its tokens' probabilities.
    Average,
    /// Each word, from its most confident token.
    Max,
}

/// How tags are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Decoding {
    /// The most probable valid IOB2 sequence.
    #[default]
    Viterbi,
    /// The most probable tag of each word or token; an `I-X` after anything else begins a mention.
    Argmax,
}

/// A text that is not one of the options.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not one of {choices}")]
pub struct OptionError {
    text: String,
    choices: &'static str,
}

impl OptionError {
    pub(crate) fn new(text: &str, choices: &'static str) -> Self {
        Self { text: text.to_owned(), choices }
    }
}

impl fmt::Display for Aggregation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Simple => "simple",
            Self::First => "first",
            Self::Average => "average",
            Self::Max => "max",
        })
    }
}

impl FromStr for Aggregation {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        match text {
            "simple" => Ok(Self::Simple),
            "first" => Ok(Self::First),
            "average" => Ok(Self::Average),
            "max" => Ok(Self::Max),
            _ => Err(OptionError::new(text, "simple, first, average, max")),
        }
    }
}

impl fmt::Display for Decoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Viterbi => "constrained",
            Self::Argmax => "argmax",
        })
    }
}

impl FromStr for Decoding {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        match text {
            "constrained" => Ok(Self::Viterbi),
            "argmax" => Ok(Self::Argmax),
            _ => Err(OptionError::new(text, "constrained, argmax")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_they_are_written() {
        for aggregation in [Aggregation::Simple, Aggregation::First, Aggregation::Average, Aggregation::Max] {
            assert_eq!(aggregation.to_string().parse(), Ok(aggregation));
        }
        for decoding in [Decoding::Viterbi, Decoding::Argmax] {
            assert_eq!(decoding.to_string().parse(), Ok(decoding));
        }
        let error = "none".parse::<Aggregation>().unwrap_err().to_string();
        assert_eq!(error, "\"none\" is not one of simple, first, average, max");
    }
}
