//! How much of a document the model reads at a time.

use std::fmt;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::str::FromStr;

use pubtag_schemas::context_after;

/// What the model reads at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Context {
    /// The whole document, in overlapping windows if it has more tokens than the model has positions.
    #[default]
    Document,
    /// Consecutive sentences with at most this many words in total, or one longer sentence; contexts do not overlap.
    Words(NonZeroUsize),
}

/// A text that is not a [`Context`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a positive number of words, or `document`")]
pub struct ContextError;

impl From<Option<NonZeroUsize>> for Context {
    fn from(words: Option<NonZeroUsize>) -> Self {
        words.map_or(Self::Document, Self::Words)
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document => f.write_str("document"),
            Self::Words(words) => words.fmt(f),
        }
    }
}

impl FromStr for Context {
    type Err = ContextError;

    fn from_str(text: &str) -> Result<Self, ContextError> {
        match text {
            "document" => Ok(Self::Document),
            words => words.parse().map(Self::Words).map_err(|_| ContextError),
        }
    }
}

impl Context {
    /// The context after a byte, which is 0 or the end of the previous context.
    pub(crate) fn after(self, byte: usize, text: &str, borders: &[usize]) -> Option<Range<usize>> {
        match self {
            Self::Document => (byte < text.len()).then_some(byte..text.len()),
            Self::Words(words) => context_after(text, borders, byte, words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_read_as_they_are_written() {
        for text in ["document", "100"] {
            assert_eq!(text.parse::<Context>().map(|context| context.to_string()), Ok(text.to_owned()));
        }
        for bad in ["", "0", "-1", "1.5", "Document", "100 words"] {
            assert_eq!(bad.parse::<Context>(), Err(ContextError), "{bad:?}");
        }
    }
}
