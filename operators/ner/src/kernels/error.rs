//! What can be wrong with a call of the kernels.

/// A shape, an index or a precision that the kernels cannot work with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// A slice does not have the length that the shapes beside it ask for.
    #[error("{what} holds {found} values where {expected} are expected")]
    Length {
        /// The argument.
        what: &'static str,
        /// Values that the shapes ask for.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// A size is zero, or one does not divide the other.
    #[error("{what} cannot be {value}: {why}")]
    Size {
        /// The size.
        what: &'static str,
        /// Its value.
        value: usize,
        /// The condition that it breaks.
        why: &'static str,
    },
    /// The sequence boundaries do not rise from 0 to the number of tokens.
    #[error("sequence boundaries must start at 0, never fall, and end at the {tokens} tokens of the micro-batch")]
    Boundaries {
        /// Tokens of the micro-batch.
        tokens: usize,
    },
    /// An id of an embedding lies outside its table.
    #[error("{table} id {id} at token {token} is outside the table of {rows} rows: tokenizer and model do not match")]
    Id {
        /// The table.
        table: &'static str,
        /// The id.
        id: u32,
        /// The token that carries it.
        token: usize,
        /// Rows of the table.
        rows: usize,
    },
    /// The processor lacks the instructions of a precision.
    #[error("this processor has no {needs} instructions, which {precision} needs: choose another precision")]
    Unsupported {
        /// The precision.
        precision: &'static str,
        /// The missing instruction set.
        needs: &'static str,
    },
}

/// Fails unless a slice has the expected length.
pub(super) fn check_len(what: &'static str, expected: usize, found: usize) -> Result<(), KernelError> {
    if expected == found { Ok(()) } else { Err(KernelError::Length { what, expected, found }) }
}
