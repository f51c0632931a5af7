//! The shapes that a micro-batch may have on a device that compiles and tunes kernels for each.
//!
//! Kernels on a GPU are compiled and tuned per shape, which costs seconds. There, the number of tokens, the rows and the
//! row length of attention are rounded up to short lists, so that all of them are met in the first minutes of the
//! first run and found in the disk cache ever after. On a CPU nothing is compiled and nothing is rounded.

/// Which shapes a device takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shapes {
    /// Those of the data.
    Exact,
    /// The next of a short list.
    Rounded,
}

/// Fewest tokens of a rounded run; from there on the list doubles.
const LEAST_TOKENS: usize = 256;
/// Shortest rounded row of attention; from there on the list doubles.
const LEAST_LENGTH: usize = 64;
/// Fewest rounded rows of attention; from there on the list doubles.
const LEAST_ROWS: usize = 4;

impl Shapes {
    /// The number of tokens to run so many with. A budget that is itself in the list wastes next to nothing.
    pub fn tokens(self, count: usize) -> usize {
        self.round(count, LEAST_TOKENS)
    }

    /// The number of rows to attend to so many sequences in.
    pub fn rows(self, count: usize) -> usize {
        self.round(count, LEAST_ROWS)
    }

    /// The row length to attend to sequences of up to this length in.
    pub fn length(self, longest: usize) -> usize {
        self.round(longest, LEAST_LENGTH)
    }

    fn round(self, value: usize, least: usize) -> usize {
        match self {
            Self::Exact => value,
            Self::Rounded => value.max(least).next_power_of_two(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn exact_shapes_are_those_of_the_data() {
        assert_eq!((Shapes::Exact.tokens(777), Shapes::Exact.rows(3), Shapes::Exact.length(77)), (777, 3, 77));
    }

    #[test]
    fn rounded_shapes_are_few_and_never_smaller_than_the_data() {
        let tokens: BTreeSet<_> = (1..=65_536).map(|count| Shapes::Rounded.tokens(count)).collect();
        let lengths: BTreeSet<_> = (1..=512).map(|length| Shapes::Rounded.length(length)).collect();
        assert_eq!(tokens.into_iter().collect::<Vec<_>>(), [256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536]);
        assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [64, 128, 256, 512]);
        assert!((1..5000).all(|n| Shapes::Rounded.rows(n) >= n && Shapes::Rounded.tokens(n) >= n));
    }

    #[test]
    fn a_full_budget_of_a_listed_size_is_not_rounded_up() {
        assert_eq!(Shapes::Rounded.tokens(16_384), 16_384);
    }
}
