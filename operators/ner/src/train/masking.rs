//! Whole-word masking: which tokens a masked language model has to guess.

use std::ops::Range;

use pubtag_schemas::{TokenSpan, TokenWindow};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

use super::objective::Window;

/// Of masked tokens, the share that is replaced by the mask, and the share that is replaced by any token; the others stay.
const MASKED: f64 = 0.8;
const REPLACED: f64 = 0.1;

/// A window in which tokens are masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskedWindow {
    /// Token ids as the model reads them, special tokens included.
    pub ids: Vec<u32>,
    /// Positions in the window, ascending, and the tokens that are there in fact.
    pub targets: Vec<(usize, u32)>,
}

/// How windows are masked: whole words, since a word that is partly visible is too easy to guess (Devlin et al., 2019).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Masking {
    /// The id of the mask.
    pub mask: u32,
    /// Rows of the word embedding.
    pub vocabulary: usize,
    /// The share of a window's tokens that are masked, special tokens not counted; at least one token.
    pub share: f64,
}

impl Masking {
    /// Masks words of a window in random order, up to the share. A word that no longer fits is skipped.
    ///
    /// Of the masked tokens, 80% become the mask, 10% become any token and 10% stay, so that the model cannot rely on
    /// what it sees.
    pub fn window(self, window: TokenWindow, random: &mut StdRng) -> MaskedWindow {
        let mut words = words(&window.spans);
        let tokens: usize = words.iter().map(ExactSizeIterator::len).sum();
        let mut left = ((tokens as f64 * self.share).round() as usize).max(1);
        words.shuffle(random);
        words.retain(|word| {
            let fits = word.len() <= left;
            left -= if fits { word.len() } else { 0 };
            fits
        });
        words.sort_unstable_by_key(|word| word.start);
        let mut ids = window.ids;
        let mask = |place: usize| (place, std::mem::replace(&mut ids[place], 0));
        let targets: Vec<(usize, u32)> = words.into_iter().flatten().map(mask).collect();
        for (place, id) in &targets {
            ids[*place] = self.shown(*id, random);
        }
        MaskedWindow { ids, targets }
    }

    /// What the model reads instead of a masked token.
    fn shown(self, id: u32, random: &mut impl Rng) -> u32 {
        match random.random::<f64>() {
            share if share < MASKED => self.mask,
            share if share < MASKED + REPLACED => random.random_range(0..self.vocabulary) as u32,
            _ => id,
        }
    }
}

/// The tokens of each word; special tokens belong to none.
fn words(spans: &[Option<TokenSpan>]) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    let mut last = None;
    for (place, span) in spans.iter().enumerate() {
        let word = span.map(|span| span.word);
        match words.last_mut().filter(|_| word == last) {
            Some(open) if word.is_some() => open.end = place + 1,
            _ if word.is_some() => words.push(place..place + 1),
            _ => {}
        }
        last = word;
    }
    words
}

impl Window for MaskedWindow {
    fn ids(&self) -> &[u32] {
        &self.ids
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::*;

    const MASK: u32 = 4;

    /// A window of words of these lengths between two special tokens.
    fn window(lengths: &[usize]) -> TokenWindow {
        let words = lengths.iter().zip(0..).flat_map(|(&length, word)| vec![word; length]);
        let span = |word| Some(TokenSpan { start_byte: word, end_byte: word + 1, word });
        let spans: Vec<_> = [None].into_iter().chain(words.map(span)).chain([None]).collect();
        let ids = (0..spans.len()).map(|place| 1000 + place as u32).collect();
        TokenWindow { ids, spans, first_token: 0, context: 0 }
    }

    fn masked(lengths: &[usize], share: f64, seed: u64) -> MaskedWindow {
        let masking = Masking { mask: MASK, vocabulary: 30_000, share };
        masking.window(window(lengths), &mut StdRng::seed_from_u64(seed))
    }

    #[test]
    fn of_masked_tokens_eight_in_ten_are_hidden_one_is_replaced_and_one_stays() {
        let (mut hidden, mut kept, mut all) = (0, 0, 0);
        for seed in 0..200 {
            let MaskedWindow { ids, targets } = masked(&[1; 400], 0.15, seed);
            assert_eq!(targets.len(), 60);
            all += targets.len();
            hidden += targets.iter().filter(|(place, _)| ids[*place] == MASK).count();
            kept += targets.iter().filter(|(place, id)| ids[*place] == *id).count();
        }
        let share = |count: usize| count as f64 / all as f64;
        assert!((share(hidden) - 0.8).abs() < 0.02, "{}", share(hidden));
        assert!((share(kept) - 0.1).abs() < 0.02, "{}", share(kept));
    }

    #[test]
    fn at_least_one_token_is_masked_if_a_word_has_only_one() {
        assert_eq!(masked(&[1, 1], 0.15, 1).targets.len(), 1);
        assert!(masked(&[3, 3], 0.15, 1).targets.is_empty(), "no word fits");
        assert!(masked(&[], 0.15, 1).targets.is_empty());
    }

    proptest! {
        #[test]
        fn whole_words_are_masked_up_to_the_share_and_special_tokens_never(
            lengths in prop::collection::vec(1_usize..6, 0..80), share in 0.01..0.9_f64, seed in any::<u64>(),
        ) {
            let (before, after) = (window(&lengths), masked(&lengths, share, seed));
            prop_assert_eq!(&after, &masked(&lengths, share, seed), "the seed determines the masks");
            let places: Vec<usize> = after.targets.iter().map(|(place, _)| *place).collect();
            prop_assert!(places.is_sorted_by(|one, next| one < next));
            prop_assert_eq!(after.ids.len(), before.ids.len());
            for (place, id) in &after.targets {
                prop_assert!(before.spans[*place].is_some() && before.ids[*place] == *id);
            }
            for place in (0..before.ids.len()).filter(|place| !places.contains(place)) {
                prop_assert_eq!(before.ids[place], after.ids[place]);
            }
            for word in words(&before.spans) {
                let masked = word.clone().filter(|place| places.contains(place)).count();
                prop_assert!(masked == 0 || masked == word.len(), "a part of the word at {:?}", word);
            }
            let tokens: usize = lengths.iter().sum();
            let most = ((tokens as f64 * share).round() as usize).max(1);
            // What is left is less than the longest word that was skipped.
            prop_assert!(places.len() <= most && places.len() + 5 > most.min(tokens), "{} of {}", places.len(), most);
        }
    }
}
