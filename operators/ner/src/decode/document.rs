//! Decoding a document window by window.

use pubtag_schemas::{Annotation, TokenWindow};

use super::decoder::Decoder;
use super::options::Decoding;
use super::spans::Entities;
use super::tagging::{Viterbi, argmax};
use super::tokens::Tokens;
use super::words::Words;

impl Decoder {
    /// Decodes a document's windows, in text order. `rows` yields the logits of every token of every window, in order.
    ///
    /// Annotations are in text order, do not overlap, and never cross the border of a context.
    pub fn decode<'a>(&self, windows: &[TokenWindow], rows: &mut impl Iterator<Item = &'a [f32]>) -> Vec<Annotation> {
        let mut document = DocumentDecoder::new(self);
        windows.iter().for_each(|window| document.push(self, window, rows));
        document.finish(self)
    }
}

/// The state of a document while it is decoded.
///
/// *Memory*: the annotations, the tokens of two windows, and the words whose tags are not final yet. These are few, since
/// sequences that end in different tags soon share their beginning.
#[derive(Debug)]
pub(crate) struct DocumentDecoder {
    context: u32,
    tokens: Tokens,
    words: Words,
    viterbi: Viterbi,
    entities: Entities,
}

impl DocumentDecoder {
    /// Starts a document. All further calls must use the same decoder.
    pub(crate) fn new(decoder: &Decoder) -> Self {
        let labels = decoder.labels.count();
        Self {
            context: 0,
            tokens: Tokens::new(labels),
            words: Words::new(labels),
            viterbi: Viterbi::new(labels),
            entities: Entities::default(),
        }
    }

    /// Adds the next window; `rows` yields the logits of each of its tokens.
    pub(crate) fn push<'a>(
        &mut self,
        decoder: &Decoder,
        window: &TokenWindow,
        rows: &mut impl Iterator<Item = &'a [f32]>,
    ) {
        if window.context != self.context {
            self.end_context(decoder);
            self.context = window.context;
        }
        // No later window contains tokens before this one.
        let settled = self.tokens.before(window);
        self.decode(decoder, settled, false);
        self.tokens.merge(window, rows);
    }

    /// Returns the annotations of all windows.
    pub(crate) fn finish(mut self, decoder: &Decoder) -> Vec<Annotation> {
        self.end_context(decoder);
        self.entities.into_annotations()
    }

    fn end_context(&mut self, decoder: &Decoder) {
        self.decode(decoder, self.tokens.len(), true);
    }

    /// Decodes the first `tokens`; `last` if they end the context.
    fn decode(&mut self, decoder: &Decoder, tokens: usize, last: bool) {
        self.tokens.settle(tokens);
        let joined = self.words.join(&self.tokens, tokens, decoder.aggregation, last);
        self.tokens.drop_front(joined);
        let chosen = match decoder.decoding {
            Decoding::Argmax => argmax(&self.words),
            Decoding::Viterbi => self.viterbi.choose(&self.words, decoder.labels.tags(), last),
        };
        self.entities.add(&self.words, &chosen, &decoder.labels);
        self.words.drop_front(chosen.len());
        if last {
            self.entities.close(&decoder.labels);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pubtag_schemas::TokenSpan;

    use super::super::options::Aggregation;
    use super::*;
    use crate::LabelSet;

    const LABELS: [&str; 5] = ["O", "B-D", "I-D", "B-G", "I-G"];

    fn decoder(aggregation: Aggregation, decoding: Decoding) -> Decoder {
        let labels = LABELS.iter().map(|name| (*name).to_owned()).enumerate().collect();
        Decoder::new(LabelSet::from_id2label(&labels).unwrap(), aggregation, decoding)
    }

    /// Windows of `length` tokens with an overlap of `stride`, between two special tokens, over words of these many tokens.
    fn windows(words: &[usize], length: usize, stride: usize, context: u32) -> Vec<TokenWindow> {
        let of_words = (0..).zip(words).flat_map(|(word, &tokens)| std::iter::repeat_n(word, tokens));
        let span = |(at, word): (u32, u32)| TokenSpan { start_byte: 2 * at, end_byte: 2 * at + 1, word };
        let spans: Vec<_> = (0..).zip(of_words).map(span).collect();
        let mut windows = Vec::new();
        let mut start = 0;
        loop {
            let end = spans.len().min(start + length);
            let inside = spans[start..end].iter().copied().map(Some);
            let spans_of = [None].into_iter().chain(inside).chain([None]).collect::<Vec<_>>();
            let first_token = u32::try_from(start).unwrap();
            windows.push(TokenWindow { ids: vec![0; spans_of.len()], spans: spans_of, first_token, context });
            if end == spans.len() {
                return windows;
            }
            start = end - stride;
        }
    }

    /// The whole document decoded at once.
    fn at_once(decoder: &Decoder, windows: &[TokenWindow], rows: &[Vec<f32>]) -> Vec<Annotation> {
        let mut rows = rows.iter().map(Vec::as_slice);
        let mut all = Tokens::new(LABELS.len());
        windows.iter().for_each(|window| all.merge(window, &mut rows));
        all.settle(all.len());
        let mut words = Words::new(LABELS.len());
        words.join(&all, all.len(), decoder.aggregation, true);
        let chosen = match decoder.decoding {
            Decoding::Argmax => argmax(&words),
            Decoding::Viterbi => Viterbi::new(LABELS.len()).choose(&words, decoder.labels.tags(), true),
        };
        let mut entities = Entities::default();
        entities.add(&words, &chosen, &decoder.labels);
        entities.close(&decoder.labels);
        entities.into_annotations()
    }

    proptest! {
        #[test]
        fn decoding_by_window_equals_decoding_the_whole_document(
            words in prop::collection::vec(1_usize..4, 1..120), seed in any::<u64>(), stride in 0_usize..6,
            aggregation in prop::sample::select(vec![Aggregation::Simple, Aggregation::First, Aggregation::Average, Aggregation::Max]),
            viterbi in any::<bool>(), flat in any::<bool>(),
        ) {
            let decoder = decoder(aggregation, if viterbi { Decoding::Viterbi } else { Decoding::Argmax });
            let windows = windows(&words, 8, stride, 0);
            let count: usize = windows.iter().map(|window| window.ids.len()).sum();
            // With flat logits, sequences differ for long.
            let scale = if flat { 0.001 } else { 4.0 };
            let number = |at: usize| (seed.wrapping_add(at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f32 / 16_777_216.0;
            let rows: Vec<Vec<f32>> =
                (0..count).map(|row| (0..5).map(|label| scale * number(5 * row + label)).collect()).collect();
            let found = decoder.decode(&windows, &mut rows.iter().map(Vec::as_slice));
            prop_assert_eq!(&found, &at_once(&decoder, &windows, &rows));

            // Only the rows of scored tokens matter.
            let scored = windows.iter().flat_map(|window| aggregation.scores(window));
            let blank = |(row, scored): (&Vec<f32>, bool)| if scored { row.clone() } else { vec![0.0; 5] };
            let blanked: Vec<_> = rows.iter().zip(scored).map(blank).collect();
            prop_assert_eq!(decoder.decode(&windows, &mut blanked.iter().map(Vec::as_slice)), found);
        }
    }

    #[test]
    fn no_entity_crosses_the_border_of_a_context() {
        // Every token but the first is most likely inside.
        let row = |first: bool| if first { vec![0.0, 9.0, 0.0, 0.0, 0.0] } else { vec![0.0, 0.0, 9.0, 0.0, 0.0] };
        let one = windows(&[1, 1, 1], 8, 0, 0);
        let mut other = windows(&[1, 1], 8, 0, 1);
        other[0].first_token = 3;
        for span in other[0].spans.iter_mut().flatten() {
            *span = TokenSpan { start_byte: span.start_byte + 6, end_byte: span.end_byte + 6, word: span.word + 3 };
        }
        let rows: Vec<_> = (0..9).map(|at| row(at == 1)).collect();
        let found = decoder(Aggregation::First, Decoding::Viterbi)
            .decode(&[one, other].concat(), &mut rows.iter().map(Vec::as_slice));
        let places: Vec<_> = found.into_iter().map(|annotation| annotation.bytes).collect();
        assert_eq!(places, [0..5, 6..9], "the second starts a new entity");
    }

    #[test]
    fn a_long_document_keeps_few_words_in_memory() {
        let decoder = decoder(Aggregation::First, Decoding::Viterbi);
        let words = vec![1; 20_000];
        let mut document = DocumentDecoder::new(&decoder);
        for (at, window) in windows(&words, 62, 16, 0).iter().enumerate() {
            let number = |row: usize, label: usize| ((at * 977 + row * 31 + label * 7) % 13) as f32 / 4.0;
            let rows: Vec<Vec<f32>> = (0..64).map(|row| (0..5).map(|label| number(row, label)).collect()).collect();
            document.push(&decoder, window, &mut rows.iter().map(Vec::as_slice));
            assert!(document.words.count() < 2_000, "{} words in memory", document.words.count());
        }
    }
}
