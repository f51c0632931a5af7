//! Cuts a long run of tokens into windows.

use std::num::NonZeroUsize;
use std::ops::Range;

/// Default overlap of windows, which gives words at a cut their context.
const STRIDE: usize = 128;

/// The size of windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowSize {
    /// Tokens per window, including special tokens; at most the model's positions.
    pub max_tokens: NonZeroUsize,
    /// Minimum overlap of neighbouring windows in tokens.
    pub stride: usize,
}

impl WindowSize {
    /// Windows for a model with this many positions: all of them, with an overlap of 128 tokens or a quarter.
    pub fn of_model(max_tokens: NonZeroUsize) -> Self {
        Self { max_tokens, stride: STRIDE.min(max_tokens.get() / 4) }
    }
}

/// The start of the window after a full one; `word` gives the word of each token. `None` if the range fits into one window.
///
/// Windows have `length` tokens and overlap by at least `stride`, which must be less. A window starts at the start of a
/// word, unless a single word fills the previous window.
pub(crate) fn next_window(
    word: impl Fn(usize) -> u32,
    tokens: Range<usize>,
    length: usize,
    stride: usize,
) -> Option<usize> {
    let places = tokens.start + 1..tokens.start + length - stride + 1;
    let last = places.end - 1;
    let word_start = |places: Range<usize>| places.rev().find(|&token| word(token) != word(token - 1));
    (tokens.len() > length).then(|| word_start(places).unwrap_or(last))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All windows of a run of tokens.
    fn windows(words: &[u32], length: usize, stride: usize) -> Vec<Range<usize>> {
        let next = |start: usize| next_window(|token| words[token], start..words.len(), length, stride);
        let starts = std::iter::successors((!words.is_empty()).then_some(0), |&start| next(start));
        starts.map(|start| start..words.len().min(start + length)).collect()
    }

    /// The word of each token, from the number of tokens per word.
    fn words(lengths: &[usize]) -> Vec<u32> {
        lengths.iter().zip(0..).flat_map(|(&length, word)| vec![word; length]).collect()
    }

    #[test]
    fn a_short_run_is_one_window_and_an_empty_run_has_none() {
        let one = windows(&words(&[1; 10]), 10, 3);
        assert_eq!((one.len(), one[0].clone()), (1, 0..10));
        assert!(windows(&[], 10, 3).is_empty());
    }

    #[test]
    fn neighbours_overlap_by_the_stride() {
        assert_eq!(windows(&words(&[1; 20]), 10, 4), [0..10, 6..16, 12..20]);
    }

    #[test]
    fn a_window_starts_at_the_start_of_a_word() {
        // The stride alone would cut at 6, inside the word at 4..8.
        assert_eq!(windows(&words(&[1, 1, 1, 1, 4, 1, 1, 1, 1]), 10, 4), [0..10, 4..12]);
    }

    #[test]
    fn a_word_longer_than_a_window_is_cut() {
        assert_eq!(windows(&words(&[25]), 10, 4), [0..10, 6..16, 12..22, 18..25]);
        assert_eq!(windows(&words(&[1, 25]), 10, 4), [0..10, 1..11, 7..17, 13..23, 19..26]);
    }

    #[test]
    fn windows_use_all_positions_of_a_model() {
        let stride = |positions| WindowSize::of_model(NonZeroUsize::new(positions).unwrap()).stride;
        assert_eq!((stride(512), stride(64), stride(4096)), (128, 16, 128));
    }

    proptest! {
        #[test]
        fn windows_cover_all_tokens_overlap_by_the_stride_and_advance(
            lengths in prop::collection::vec(1_usize..30, 0..60), length in 2_usize..40, stride in 0_usize..38,
        ) {
            prop_assume!(stride < length);
            let words = words(&lengths);
            let cut = windows(&words, length, stride);
            prop_assert_eq!(cut.first().map_or(0, |first| first.start), 0);
            prop_assert_eq!(cut.last().map_or(0, |last| last.end), words.len());
            for window in &cut {
                prop_assert!(window.len() <= length && !window.is_empty());
            }
            for pair in cut.windows(2) {
                prop_assert!(pair[0].start < pair[1].start && pair[0].end < pair[1].end);
                prop_assert!(pair[0].end - pair[1].start >= stride);
                prop_assert_eq!(pair[0].len(), length);
                let split = words[pair[1].start] == words[pair[1].start - 1];
                prop_assert!(!split || words[pair[0].start + 1..=pair[1].start].iter().all(|&word| word == words[pair[0].start]));
            }
        }
    }
}
