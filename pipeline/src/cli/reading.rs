//! How a text is read and tagged: values that `run` and `evaluate` share.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use clap::ValueEnum;

/// How tags are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Decode {
    /// The most probable sequence of tags that is valid IOB2.
    #[default]
    Constrained,
    /// The most probable tag of each word.
    Argmax,
}

/// How the tags of a word's sub-tokens become the word's tag; names and meanings of `transformers`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Aggregation {
    /// The first sub-token's.
    #[default]
    First,
    /// None: every sub-token is tagged on its own.
    Simple,
    /// By the mean of the sub-tokens' probabilities.
    Average,
    /// The most confident sub-token's.
    Max,
}

/// Whether abbreviations are tagged by their definitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Abbreviations {
    /// On for models made by `pubtag train`.
    #[default]
    Auto,
    /// For every model.
    On,
    /// Never.
    Off,
}

/// How much of a document the model reads at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContextLimit {
    /// The whole document.
    Document,
    /// Consecutive sentences of at most this many words.
    Words(NonZeroUsize),
}

impl fmt::Display for ContextLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document => f.write_str("document"),
            Self::Words(words) => words.fmt(f),
        }
    }
}

impl FromStr for ContextLimit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "document" => Ok(Self::Document),
            words => words.parse().map(Self::Words).map_err(|_| "expected a number of words above 0, or `document`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_limits_are_parsed_as_they_are_printed() {
        for text in ["document", "100"] {
            assert_eq!(text.parse::<ContextLimit>().map(|limit| limit.to_string()), Ok(text.to_owned()));
        }
        for bad in ["", "0", "-1", "1.5", "Document", "100 words"] {
            assert!(bad.parse::<ContextLimit>().is_err(), "{bad:?}");
        }
    }
}
