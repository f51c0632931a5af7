//! Options of decoding.

use std::fmt;

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

impl fmt::Display for Decoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Viterbi => "constrained",
            Self::Argmax => "argmax",
        })
    }
}
