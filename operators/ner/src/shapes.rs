//! The shapes that a micro-batch may have on a device that compiles and tunes kernels for each.
//!
//! Kernels on a GPU are compiled and tuned per shape, which costs seconds. There, the tokens of a micro-batch are
//! rounded up to a short list, and attention runs in blocks of one of a few shapes, so that all of them can be met
//! before the first citation and found in the disk cache ever after. On a CPU nothing is compiled and nothing is rounded.

/// Which shapes a device takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shapes {
    /// Those of the data.
    Exact,
    /// Those of a short list.
    Listed,
}

/// Sequences that attention takes at once, as rows of one length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Rows; the last of them may be empty.
    pub rows: usize,
    /// Length of a row: that of the longest sequence, or more.
    pub length: usize,
    /// The sequences in the rows, by their number in the micro-batch.
    pub sequences: Vec<usize>,
}

/// Fewest tokens of a listed micro-batch; from there on the list doubles.
const LEAST_TOKENS: usize = 1024;
/// Shortest listed length of a row; from there on the list doubles. Kernels are tuned for lengths up to the next power of
/// two, and fused attention refuses lengths that the tiles of the tuned one do not divide.
const LEAST_LENGTH: usize = 64;
/// The most places of a listed block; in a small micro-batch, as many as it has tokens. Rows are as many as fit.
const MOST_PLACES: usize = 8192;

impl Shapes {
    /// The number of tokens to run so many with. A budget that is itself in the list wastes next to nothing.
    pub fn tokens(self, count: usize) -> usize {
        match self {
            Self::Exact => count,
            Self::Listed => count.max(LEAST_TOKENS).next_power_of_two(),
        }
    }

    /// The blocks in which sequences of these lengths attend to themselves. Each sequence is in one of them.
    pub fn blocks(self, lengths: &[usize]) -> Vec<Block> {
        match self {
            Self::Exact => {
                let length = lengths.iter().copied().max().unwrap_or(0);
                vec![Block { rows: lengths.len(), length, sequences: (0..lengths.len()).collect() }]
            }
            Self::Listed => listed_blocks(lengths),
        }
    }

    /// Micro-batches, as the lengths of their sequences, that together meet every shape up to a token budget and a
    /// number of positions. None where shapes are not listed.
    pub fn all(self, token_budget: usize, positions: usize) -> Vec<Vec<usize>> {
        if self == Self::Exact {
            return Vec::new();
        }
        let longest = row_length(positions);
        let lengths = std::iter::successors(Some(longest), |length| Some(length / 2));
        let lengths = lengths.take_while(|length| *length >= LEAST_LENGTH).map(|length| length.min(positions));
        let sizes = std::iter::successors(Some(LEAST_TOKENS), |tokens| Some(tokens * 2));
        let sizes = sizes.take_while(|tokens| *tokens <= token_budget.max(LEAST_TOKENS));
        let of_size = |tokens: usize| {
            // Above the most places, blocks are the same whatever the tokens: one length is enough.
            let met = if tokens > MOST_PLACES { 1 } else { usize::MAX };
            lengths.clone().take(met).map(move |length| vec![length; (tokens / length).max(1)])
        };
        sizes.flat_map(of_size).collect()
    }
}

/// The listed length of a row for sequences of up to so many tokens.
fn row_length(tokens: usize) -> usize {
    tokens.next_power_of_two().max(LEAST_LENGTH)
}

/// The longest first, so that the sequences of a block are of about one length.
fn listed_blocks(lengths: &[usize]) -> Vec<Block> {
    let places = Shapes::Listed.tokens(lengths.iter().sum()).min(MOST_PLACES);
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&sequence| std::cmp::Reverse(lengths[sequence]));
    let mut blocks = Vec::new();
    let mut rest = order.as_slice();
    while let Some(&longest) = rest.first() {
        let length = row_length(lengths[longest]);
        let rows = (places / length).max(1);
        let (sequences, later) = rest.split_at(rows.min(rest.len()));
        blocks.push(Block { rows, length, sequences: sequences.to_vec() });
        rest = later;
    }
    blocks
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn exact_shapes_are_those_of_the_data() {
        assert_eq!(Shapes::Exact.tokens(777), 777);
        assert_eq!(Shapes::Exact.blocks(&[3, 9]), [Block { rows: 2, length: 9, sequences: vec![0, 1] }]);
        assert!(Shapes::Exact.all(4096, 512).is_empty());
    }

    #[test]
    fn listed_shapes_are_few_and_all_of_them_are_listed() {
        let tokens: BTreeSet<_> = (1..=32_768).map(|count| Shapes::Listed.tokens(count)).collect();
        assert_eq!(tokens.iter().copied().collect::<Vec<_>>(), [1024, 2048, 4096, 8192, 16_384, 32_768]);
        let all = Shapes::Listed.all(32_768, 512);
        assert_eq!(all.len(), 4 * 4 + 2);
        assert_eq!(Shapes::Listed.all(1024, 500).concat().iter().max(), Some(&500));
        let met: BTreeSet<_> = all.iter().map(|lengths| Shapes::Listed.tokens(lengths.iter().sum())).collect();
        assert_eq!(met, tokens);
    }

    #[test]
    fn a_full_budget_of_a_listed_size_is_not_rounded_up() {
        assert_eq!(Shapes::Listed.tokens(16_384), 16_384);
    }

    fn shape(block: Block) -> (usize, usize) {
        (block.rows, block.length)
    }

    proptest! {
        #[test]
        fn every_sequence_is_in_one_listed_block_that_has_room(lengths in prop::collection::vec(1_usize..=512, 0..60)) {
            let all = Shapes::Listed.all(32_768, 512);
            let listed: BTreeSet<_> = all.iter().flat_map(|lengths| Shapes::Listed.blocks(lengths)).map(shape).collect();
            let blocks = Shapes::Listed.blocks(&lengths);
            let mut met: Vec<usize> = blocks.iter().flat_map(|block| block.sequences.clone()).collect();
            met.sort_unstable();
            prop_assert_eq!(met, (0..lengths.len()).collect::<Vec<_>>());
            for block in blocks {
                prop_assert!(listed.contains(&shape(block.clone())), "{block:?} is not met when all shapes are");
                prop_assert!(block.sequences.len() <= block.rows);
                prop_assert!(block.sequences.iter().all(|&sequence| lengths[sequence] <= block.length));
            }
        }
    }
}
