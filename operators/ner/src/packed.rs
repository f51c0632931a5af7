//! A micro-batch: sequences end to end without padding, and the padded view of them that attention needs.

use std::cell::OnceCell;
use std::ops::Range;

use burn::tensor::backend::Backend;
use burn::tensor::{Bool, Int, Tensor, TensorData};

use crate::host::index;
use crate::shapes::{Block, Shapes};

/// One packed run of tokens, on the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MicroBatch {
    ids: Vec<u32>,
    ends: Vec<usize>,
    /// In ascending order.
    scored: Vec<u32>,
}

impl MicroBatch {
    /// Adds a sequence of token ids, special tokens included. An empty sequence is ignored.
    pub fn push(&mut self, ids: &[u32]) {
        self.push_scored(ids, ids.iter().map(|_| true));
    }

    /// Adds a sequence of which not every token is scored; `scored` has an item for each.
    pub fn push_scored(&mut self, ids: &[u32], scored: impl Iterator<Item = bool>) {
        if ids.is_empty() {
            return;
        }
        let first = self.ids.len();
        self.ids.extend_from_slice(ids);
        self.ends.push(self.ids.len());
        let numbered = (first..self.ids.len()).zip(scored).filter(|(_, scored)| *scored);
        self.scored.extend(numbered.map(|(token, _)| token_number(token)));
    }

    /// The numbers of the tokens that are scored: for the others, nobody needs logits.
    pub fn scored(&self) -> &[u32] {
        &self.scored
    }

    /// The token ids of all sequences, end to end.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The range of each sequence in the run, in order.
    pub fn sequences(&self) -> impl ExactSizeIterator<Item = Range<usize>> + Clone + '_ {
        self.ends.iter().enumerate().map(|(row, &end)| if row == 0 { 0..end } else { self.ends[row - 1]..end })
    }

    /// The number of tokens, special tokens included.
    pub fn token_count(&self) -> usize {
        self.ids.len()
    }

    /// Splits into micro-batches of at most this many tokens, or of one longer sequence.
    pub fn split(&self, most_tokens: usize) -> Vec<Self> {
        let mut parts = Vec::new();
        let mut open = Self::default();
        for sequence in self.sequences() {
            if !open.is_empty() && open.token_count() + sequence.len() > most_tokens {
                parts.push(std::mem::take(&mut open));
            }
            let scored = sequence.clone().map(|token| self.scored.binary_search(&token_number(token)).is_ok());
            open.push_scored(&self.ids[sequence], scored);
        }
        parts.extend((!open.is_empty()).then_some(open));
        parts
    }

    /// Whether there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

fn token_number(token: usize) -> u32 {
    u32::try_from(token).expect("a micro-batch is bounded by its token budget, far below 2³²")
}

/// Where the sequences of a run begin and end: all that attention needs besides its operands.
///
/// Kernels for packed sequences use only [`bounds`](Self::bounds). The padded views are made on first use, and then serve
/// every layer.
#[derive(Debug)]
pub(crate) struct Sequences<B: Backend> {
    bounds: Vec<Range<usize>>,
    tokens: usize,
    shapes: Shapes,
    device: B::Device,
    padded: OnceCell<PaddedViews<B>>,
}

/// How to turn `[T, …]` into blocks of `[rows, length, …]` and back.
#[derive(Debug)]
pub(crate) struct PaddedViews<B: Backend> {
    /// One view per block.
    pub(crate) views: Vec<PaddedView<B>>,
    /// `[T]`: the position of each token, counted through all blocks.
    pub(crate) scatter: Tensor<B, 1, Int>,
}

/// A block of sequences as rows of one length.
#[derive(Debug)]
pub(crate) struct PaddedView<B: Backend> {
    /// Rows: one per sequence, and a few empty ones on some devices.
    pub(crate) rows: usize,
    /// Length of a row, at least that of the longest sequence.
    pub(crate) length: usize,
    /// `[rows · length]`: the token at each position; 0 where there is none.
    pub(crate) gather: Tensor<B, 1, Int>,
    /// `[rows, 1, 1, length]`: true where there is no token.
    pub(crate) empty: Tensor<B, 4, Bool>,
}

impl<B: Backend> Sequences<B> {
    /// Describes the sequences of a run of `tokens` tokens; tokens outside all sequences are padding.
    pub(crate) fn new(bounds: Vec<Range<usize>>, tokens: usize, shapes: Shapes, device: &B::Device) -> Self {
        Self { bounds, tokens, shapes, device: device.clone(), padded: OnceCell::new() }
    }

    /// The range of each sequence in the run.
    pub(crate) fn bounds(&self) -> &[Range<usize>] {
        &self.bounds
    }

    /// Positions of the padded views without a token; 0 if the views were not made.
    pub(crate) fn padding(&self) -> usize {
        let tokens: usize = self.bounds.iter().map(ExactSizeIterator::len).sum();
        self.padded.get().map_or(0, |padded| {
            padded.views.iter().map(|view| view.rows * view.length).sum::<usize>().saturating_sub(tokens)
        })
    }

    /// The padded views.
    pub(crate) fn padded(&self) -> &PaddedViews<B> {
        self.padded.get_or_init(|| {
            let lengths: Vec<usize> = self.bounds.iter().map(ExactSizeIterator::len).collect();
            let mut scatter = vec![0_i32; self.tokens];
            let mut before = 0;
            let mut view = |block: Block| {
                let view = self.view(&block, before, &mut scatter);
                before += block.rows * block.length;
                view
            };
            let views = self.shapes.blocks(&lengths).into_iter().map(&mut view).collect();
            let scatter = Tensor::from_data(TensorData::new(scatter, [self.tokens]), &self.device);
            PaddedViews { views, scatter }
        })
    }

    /// The view of a block whose positions start at `before`.
    fn view(&self, block: &Block, before: usize, scatter: &mut [i32]) -> PaddedView<B> {
        let &Block { rows, length, .. } = block;
        let mut gather = vec![0_i32; rows * length];
        let mut empty = vec![true; rows * length];
        for (row, &sequence) in block.sequences.iter().enumerate() {
            for (place, token) in (row * length..).zip(self.bounds[sequence].clone()) {
                gather[place] = index(token);
                empty[place] = false;
                scatter[token] = index(before + place);
            }
        }
        PaddedView {
            rows,
            length,
            gather: Tensor::from_data(TensorData::new(gather, [rows * length]), &self.device),
            empty: Tensor::from_data(TensorData::new(empty, [rows, 1, 1, length]), &self.device),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn_flex::{Flex, FlexDevice};

    use super::*;

    #[test]
    fn a_run_keeps_the_ranges_of_its_sequences() {
        let mut run = MicroBatch::default();
        for ids in [&[5, 6, 7][..], &[], &[8], &[9, 9]] {
            run.push(ids);
        }
        assert_eq!(run.ids(), [5, 6, 7, 8, 9, 9]);
        assert_eq!(run.sequences().collect::<Vec<_>>(), [0..3, 3..4, 4..6]);
    }

    #[test]
    fn scored_tokens_stay_so_when_a_run_is_split() {
        let mut run = MicroBatch::default();
        run.push_scored(&[5, 6, 7], [false, true, false].into_iter());
        run.push(&[8, 9]);
        run.push_scored(&[4], [false].into_iter());
        assert_eq!(run.scored(), [1, 3, 4]);
        let parts = run.split(3);
        assert_eq!(parts.iter().map(MicroBatch::scored).collect::<Vec<_>>(), [&[1][..], &[0, 1]]);
        assert_eq!(run.split(6), [run]);
    }

    #[test]
    fn the_padded_view_gathers_and_scatters_the_same_tokens() {
        let sequences = Sequences::<Flex>::new(vec![0..3, 3..4], 5, Shapes::Exact, &FlexDevice);
        let padded = sequences.padded();
        let [view] = padded.views.as_slice() else { panic!("one view, not {:?}", padded.views) };
        assert_eq!((view.rows, view.length), (2, 3));
        assert_eq!(view.gather.to_data().to_vec::<i32>().unwrap(), [0, 1, 2, 3, 0, 0]);
        assert_eq!(view.empty.to_data().to_vec::<bool>().unwrap(), [false, false, false, false, true, true]);
        // The fifth token belongs to no sequence and may have any position.
        assert_eq!(padded.scatter.to_data().to_vec::<i32>().unwrap(), [0, 1, 2, 3, 0]);
    }

    #[test]
    fn positions_are_counted_through_all_blocks() {
        // At up to 1024 tokens a block has 1024 positions, 16 rows of 64, so 20 sequences need two.
        let bounds: Vec<_> = (0..20).map(|sequence| 2 * sequence..2 * sequence + 2).collect();
        let sequences = Sequences::<Flex>::new(bounds, 40, Shapes::Listed, &FlexDevice);
        let padded = sequences.padded();
        assert_eq!(padded.views.iter().map(|view| (view.rows, view.length)).collect::<Vec<_>>(), [(16, 64); 2]);
        let scatter = padded.scatter.to_data().to_vec::<i32>().unwrap();
        assert_eq!((scatter[31], scatter[32], scatter[39]), (15 * 64 + 1, 16 * 64, 19 * 64 + 1));
    }
}
