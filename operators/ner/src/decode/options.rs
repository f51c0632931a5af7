//! How to decode.

use std::fmt;
use std::str::FromStr;

/// What a tag is given to, and by which of its tokens' scores; the names and meanings of `transformers`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Aggregation {
    /// Every token by itself: a mention may begin or end inside a word.
    Simple,
    /// Every word by its first token, which is how BERT taggers are trained.
    #[default]
    First,
    /// Every word by the mean of its tokens' probabilities.
    Average,
    /// Every word by its most confident token.
    Max,
}

/// How tags are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Decoding {
    /// The most probable sequence of tags that is valid IOB2.
    #[default]
    Viterbi,
    /// The most probable tag of each; an `I-X` after anything else begins a mention.
    Argmax,
}

/// Says why a text names no option.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is none of {choices}")]
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
            _ => Err(OptionError::new(text, "simple, first, average and max")),
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
            _ => Err(OptionError::new(text, "constrained and argmax")),
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
        assert_eq!(error, "\"none\" is none of simple, first, average and max");
    }
}
