//! How an output is verified.

use std::num::NonZeroUsize;

/// How much of an output is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// Markers, lengths and footers.
    Quick,
    /// Every byte and every row, too.
    #[default]
    Full,
}

/// How an output is verified.
#[derive(Clone, Copy, Debug)]
pub struct VerifyConfig {
    /// How much is read.
    pub depth: Depth,
    /// Inputs that are verified at once.
    pub threads: NonZeroUsize,
}
