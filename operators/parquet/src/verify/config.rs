//! How an output is verified.

use std::num::NonZeroUsize;

/// How much of an output is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// Markers, lengths and footers.
    Quick,
    /// Also every byte and every row.
    #[default]
    Full,
}

/// How an output is verified.
#[derive(Clone, Copy, Debug)]
pub struct VerifyConfig {
    /// How much is read.
    pub depth: Depth,
    /// Inputs verified in parallel.
    pub threads: NonZeroUsize,
}
