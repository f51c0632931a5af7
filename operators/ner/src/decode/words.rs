//! Joins tokens into the units that get a tag: words, or the tokens themselves.

use std::ops::Range;

use pubtag_schemas::TokenWindow;

use super::options::Aggregation;
use super::tokens::Tokens;

/// Consecutive units of a document in text order.
#[derive(Debug)]
pub(super) struct Words {
    /// Byte range of each unit.
    pub(super) bytes: Vec<Range<usize>>,
    /// `[words, labels]`
    pub(super) probabilities: Vec<f32>,
    /// Length of a row of `probabilities`.
    pub(super) labels: usize,
}

impl Words {
    /// No words yet.
    pub(super) fn new(labels: usize) -> Self {
        Self { bytes: Vec::new(), probabilities: Vec::new(), labels }
    }

    pub(super) fn count(&self) -> usize {
        self.bytes.len()
    }

    /// The probabilities of each word.
    pub(super) fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.probabilities.chunks_exact(self.labels)
    }

    /// The probability of a label of a word.
    pub(super) fn probability(&self, word: usize, label: usize) -> f32 {
        self.probabilities[word * self.labels + label]
    }

    /// Adds the words of the first `settled` tokens and returns their number of tokens. The last word is left out, since it
    /// may continue, unless these are the `last` tokens.
    pub(super) fn join(&mut self, tokens: &Tokens, settled: usize, aggregation: Aggregation, last: bool) -> usize {
        let mut start = 0;
        while start < settled {
            let end = match aggregation {
                Aggregation::Simple => start + 1,
                _ => end_of_word(tokens, start),
            };
            if end > settled || (end == tokens.len() && !last && aggregation != Aggregation::Simple) {
                break;
            }
            self.bytes.push(tokens.spans[start].bytes().start..tokens.spans[end - 1].bytes().end);
            match aggregation {
                Aggregation::Simple | Aggregation::First => self.probabilities.extend_from_slice(tokens.row(start)),
                Aggregation::Max => self.probabilities.extend_from_slice(most_confident(tokens, start..end)),
                Aggregation::Average => self.probabilities.extend(mean(tokens, start..end)),
            }
            start = end;
        }
        start
    }

    /// Removes the first `words`.
    pub(super) fn drop_front(&mut self, words: usize) {
        self.bytes.drain(..words);
        self.probabilities.drain(..words * self.labels);
    }
}

impl Aggregation {
    /// Whether each token's row is used by [`Words::join`]. A word that a window begins inside may have begun in an earlier
    /// window, or not at all.
    pub(crate) fn scores(self, window: &TokenWindow) -> impl Iterator<Item = bool> {
        let mut before = None;
        window.spans.iter().map(move |span| {
            let word = span.map(|span| span.word);
            let begins = word != std::mem::replace(&mut before, word);
            word.is_some() && (begins || self != Self::First)
        })
    }
}

fn end_of_word(tokens: &Tokens, start: usize) -> usize {
    let word = tokens.spans[start].word;
    start + tokens.spans[start..].iter().take_while(|span| span.word == word).count()
}

/// The row with the highest probability; the first of ties.
fn most_confident(tokens: &Tokens, range: Range<usize>) -> &[f32] {
    let highest = |row: &[f32]| row.iter().copied().fold(0.0, f32::max);
    let first = tokens.row(range.start);
    range.map(|token| tokens.row(token)).fold(first, |best, row| if highest(row) > highest(best) { row } else { best })
}

fn mean(tokens: &Tokens, range: Range<usize>) -> impl Iterator<Item = f32> {
    let count = range.len() as f32;
    (0..tokens.labels).map(move |label| range.clone().map(|token| tokens.row(token)[label]).sum::<f32>() / count)
}

#[cfg(test)]
mod tests {
    use pubtag_schemas::TokenSpan;

    use super::*;

    /// Two words, of three tokens and of one, in one window.
    fn tokens() -> Tokens {
        let span = |start_byte, end_byte, word| Some(TokenSpan { start_byte, end_byte, word });
        let spans = vec![span(0, 2, 0), span(2, 4, 0), span(4, 6, 0), span(7, 9, 1)];
        let window = TokenWindow { ids: vec![0; 4], spans, first_token: 0, context: 0 };
        let rows: [[f32; 2]; 4] =
            [[0.5, 0.5], [0.1, 0.9], [0.9, 0.1], [1.0, 0.0]].map(|row: [f32; 2]| row.map(f32::ln));
        let mut tokens = Tokens::new(2);
        tokens.merge(&window, &mut rows.iter().map(<[f32; 2]>::as_slice));
        tokens.settle(4);
        tokens
    }

    #[test]
    fn words_are_joined_with_each_aggregation() {
        for (aggregation, bytes, probabilities) in [
            (Aggregation::Simple, vec![0..2, 2..4, 4..6, 7..9], vec![0.5, 0.5, 0.1, 0.9, 0.9, 0.1, 1.0, 0.0]),
            (Aggregation::First, vec![0..6, 7..9], vec![0.5, 0.5, 1.0, 0.0]),
            (Aggregation::Average, vec![0..6, 7..9], vec![0.5, 0.5, 1.0, 0.0]),
            (Aggregation::Max, vec![0..6, 7..9], vec![0.1, 0.9, 1.0, 0.0]),
        ] {
            let mut words = Words::new(2);
            assert_eq!(words.join(&tokens(), 4, aggregation, true), 4);
            assert_eq!(words.bytes, bytes, "{aggregation}");
            let close = |(one, other): (&f32, &f32)| (one - other).abs() < 1e-6;
            assert!(words.probabilities.iter().zip(&probabilities).all(close), "{aggregation}: {words:?}");
        }
    }
    #[test]
    fn a_word_that_may_continue_is_not_added_yet() {
        let mut words = Words::new(2);
        // The third token, or the continuation of the last word, may be in a later window.
        assert_eq!(words.join(&tokens(), 2, Aggregation::First, false), 0);
        assert_eq!(words.join(&tokens(), 4, Aggregation::First, false), 3);
        assert_eq!(words.count(), 1);
    }
}
