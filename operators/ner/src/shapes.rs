//! The shapes of micro-batches on devices that compile and tune kernels per shape.
//!
//! On a GPU, compiling and tuning for a shape takes seconds. There, the number of tokens is rounded up to a short list,
//! and attention runs in blocks of a few shapes, so that a warm-up can run all of them and later runs find them in the disk
//! cache. On a CPU nothing is compiled and nothing is rounded.

/// The shapes that a device uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shapes {
    /// The shape of the data.
    Exact,
    /// The next of a short list.
    Listed,
}

/// Sequences that attention handles together, as rows of one length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Rows; the last ones may be empty.
    pub(crate) rows: usize,
    /// Length of a row, at least that of the longest sequence.
    pub(crate) length: usize,
    /// The sequences in the rows, by number in the micro-batch.
    pub(crate) sequences: Vec<usize>,
}

/// Smallest listed number of tokens; each further one is twice the last.
const LEAST_TOKENS: usize = 1024;
/// Listed row lengths are multiples of this.
const LENGTH_STEP: usize = 64;
/// Maximum positions of a listed block. Blocks have as many positions as a listed number of tokens, and as many rows as fit.
const MOST_PLACES: usize = 8192;

impl Shapes {
    /// The padded number of tokens. A token budget that is in the list wastes almost nothing.
    pub(crate) fn tokens(self, count: usize) -> usize {
        match self {
            Self::Exact => count,
            Self::Listed => count.max(LEAST_TOKENS).next_power_of_two(),
        }
    }

    /// The attention blocks for sequences of these lengths. Each sequence is in exactly one.
    pub(crate) fn blocks(self, lengths: &[usize]) -> Vec<Block> {
        match self {
            Self::Exact => {
                let length = lengths.iter().copied().max().unwrap_or(0);
                vec![Block { rows: lengths.len(), length, sequences: (0..lengths.len()).collect() }]
            }
            Self::Listed => listed_blocks(lengths),
        }
    }

    /// Micro-batches, as the lengths of their sequences, that together cover every shape up to a token budget and a number
    /// of positions. Empty where shapes are not listed.
    #[cfg(any(feature = "cuda", test))]
    pub(crate) fn all(self, token_budget: usize, positions: usize) -> Vec<Vec<usize>> {
        if self == Self::Exact {
            return Vec::new();
        }
        let longest = positions.next_multiple_of(LENGTH_STEP);
        let of_size = |tokens: usize| {
            // Above the maximum of positions, blocks do not depend on the number of tokens: one length is enough.
            let shortest = if tokens > MOST_PLACES { longest } else { LENGTH_STEP };
            (shortest..=longest).step_by(LENGTH_STEP).map(move |length| (tokens, length))
        };
        let shapes = sizes(token_budget.max(LEAST_TOKENS)).flat_map(of_size);
        shapes.map(|(tokens, length)| vec![length.min(positions); rows(tokens, length)]).collect()
    }
}

/// The listed numbers of tokens, and of a block's positions, up to `most`.
fn sizes(most: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(LEAST_TOKENS), |tokens| Some(tokens * 2)).take_while(move |tokens| *tokens <= most)
}

/// Rows of a length that fit this many positions.
fn rows(places: usize, length: usize) -> usize {
    (places / length).max(1)
}

/// Longest first, so that sequences in a block have similar lengths; the last block is as small as possible.
fn listed_blocks(lengths: &[usize]) -> Vec<Block> {
    let places = Shapes::Listed.tokens(lengths.iter().sum()).min(MOST_PLACES);
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&sequence| std::cmp::Reverse(lengths[sequence]));
    let mut blocks = Vec::new();
    let mut rest = order.as_slice();
    while let Some(&longest) = rest.first() {
        let length = lengths[longest].next_multiple_of(LENGTH_STEP);
        let enough = sizes(places).map(|places| rows(places, length)).find(|rows| *rows >= rest.len());
        let rows = enough.unwrap_or_else(|| rows(places, length));
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
    fn listed_shapes_are_few_and_the_list_is_complete() {
        let tokens: BTreeSet<_> = (1..=32_768).map(|count| Shapes::Listed.tokens(count)).collect();
        assert_eq!(tokens.iter().copied().collect::<Vec<_>>(), [1024, 2048, 4096, 8192, 16_384, 32_768]);
        let all = Shapes::Listed.all(32_768, 512);
        assert_eq!(all.len(), 4 * 8 + 2);
        assert_eq!(Shapes::Listed.all(1024, 500).concat().iter().max(), Some(&500));
        let met: BTreeSet<_> = all.iter().map(|lengths| Shapes::Listed.tokens(lengths.iter().sum())).collect();
        assert_eq!(met, tokens);
    }

    #[test]
    fn a_full_budget_of_a_listed_size_is_not_rounded_up() {
        assert_eq!(Shapes::Listed.tokens(16_384), 16_384);
    }

    #[test]
    fn the_last_block_is_the_smallest_that_fits() {
        let lengths = [vec![512; 16], vec![300; 7]].concat();
        let blocks: Vec<_> = Shapes::Listed.blocks(&lengths).into_iter().map(shape).collect();
        assert_eq!(blocks, [(16, 512), (12, 320)]);
    }

    fn shape(block: Block) -> (usize, usize) {
        (block.rows, block.length)
    }

    proptest! {
        #[test]
        fn every_sequence_is_in_one_listed_block_that_fits(lengths in prop::collection::vec(1_usize..=512, 0..60)) {
            let all = Shapes::Listed.all(32_768, 512);
            let listed: BTreeSet<_> = all.iter().flat_map(|lengths| Shapes::Listed.blocks(lengths)).map(shape).collect();
            let blocks = Shapes::Listed.blocks(&lengths);
            let mut met: Vec<usize> = blocks.iter().flat_map(|block| block.sequences.clone()).collect();
            met.sort_unstable();
            prop_assert_eq!(met, (0..lengths.len()).collect::<Vec<_>>());
            for block in blocks {
                prop_assert!(listed.contains(&shape(block.clone())), "{block:?} is missing from the list of all shapes");
                prop_assert!(block.sequences.len() <= block.rows);
                prop_assert!(block.sequences.iter().all(|&sequence| lengths[sequence] <= block.length));
            }
        }
    }
}
