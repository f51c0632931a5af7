//! Errors of the kernels.

/// An invalid shape, index or precision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// A slice has the wrong length.
    #[error("{what}: {found} values, expected {expected}")]
    Length {
        /// The argument.
        what: &'static str,
        /// Values expected.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// A size is zero, or one does not divide the other.
    #[error("{what}: {value}: {why}")]
    Size {
        /// The size.
        what: &'static str,
        /// Its value.
        value: usize,
        /// The violated condition.
        why: &'static str,
    },
    /// The sequence boundaries do not increase from 0 to the number of tokens.
    #[error("sequence boundaries must start at 0, never decrease, and end at {tokens}, the number of tokens")]
    Boundaries {
        /// Tokens of the micro-batch.
        tokens: usize,
    },
    /// Rows are not in ascending order, or one does not exist.
    #[error("rows must be in ascending order and below {tokens}, the number of tokens")]
    Rows {
        /// Tokens of the micro-batch.
        tokens: usize,
    },
    /// A table has no such row.
    #[error("{what} {number}: the table has {rows} rows")]
    Row {
        /// What the number is.
        what: &'static str,
        /// The number.
        number: i32,
        /// Rows of the table.
        rows: usize,
    },
    /// The processor lacks the instructions of a precision.
    #[error("{precision} needs {needs} instructions, which this processor lacks; use another precision")]
    Unsupported {
        /// The precision.
        precision: &'static str,
        /// The missing instruction set.
        needs: &'static str,
    },
}

/// Checks the length of a slice.
pub(super) fn check_len(what: &'static str, expected: usize, found: usize) -> Result<(), KernelError> {
    if expected == found { Ok(()) } else { Err(KernelError::Length { what, expected, found }) }
}
