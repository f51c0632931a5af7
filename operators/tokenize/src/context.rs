//! How much of a document the model reads at a time.

use std::fmt;
use std::num::NonZeroUsize;
use std::ops::Range;

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

impl Context {
    /// The context after a byte, which is 0 or the end of the previous context.
    pub(crate) fn after(self, byte: usize, text: &str, borders: &[usize]) -> Option<Range<usize>> {
        match self {
            Self::Document => (byte < text.len()).then_some(byte..text.len()),
            Self::Words(words) => context_after(text, borders, byte, words),
        }
    }
}
