//! Tokens into the units that get a tag: words, or the tokens themselves.

use std::ops::Range;

use super::options::Aggregation;
use super::tokens::Tokens;

/// The units of a document in text order.
#[derive(Debug)]
pub(super) struct Words {
    /// Where each stands, in bytes.
    pub(super) bytes: Vec<Range<usize>>,
    /// `[words, labels]`
    pub(super) probabilities: Vec<f32>,
    /// Length of a row of `probabilities`.
    pub(super) labels: usize,
}

impl Words {
    /// The probabilities of each word.
    pub(super) fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.probabilities.chunks_exact(self.labels)
    }

    /// The probability of a label of a word.
    pub(super) fn probability(&self, word: usize, label: usize) -> f32 {
        self.probabilities[word * self.labels + label]
    }
}

/// Joins the tokens of each word.
pub(super) fn aggregate(tokens: &Tokens, aggregation: Aggregation) -> Words {
    let mut words = Words { bytes: Vec::new(), probabilities: Vec::new(), labels: tokens.labels };
    let mut start = 0;
    while start < tokens.spans.len() {
        let end = match aggregation {
            Aggregation::Simple => start + 1,
            _ => end_of_word(tokens, start),
        };
        words.bytes.push(tokens.spans[start].bytes().start..tokens.spans[end - 1].bytes().end);
        match aggregation {
            Aggregation::Simple | Aggregation::First => words.probabilities.extend_from_slice(tokens.row(start)),
            Aggregation::Max => words.probabilities.extend_from_slice(most_confident(tokens, start..end)),
            Aggregation::Average => words.probabilities.extend(mean(tokens, start..end)),
        }
        start = end;
    }
    words
}

fn end_of_word(tokens: &Tokens, start: usize) -> usize {
    let word = tokens.spans[start].word;
    start + tokens.spans[start..].iter().take_while(|span| span.word == word).count()
}

/// The row that holds the highest probability; the first of equals.
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

    /// Two words: one of three tokens, one of one.
    fn tokens() -> Tokens {
        let span = |start_byte, end_byte, word| TokenSpan { start_byte, end_byte, word };
        Tokens {
            spans: vec![span(0, 2, 0), span(2, 4, 0), span(4, 6, 0), span(7, 9, 1)],
            probabilities: vec![0.5, 0.5, 0.1, 0.9, 0.9, 0.1, 1.0, 0.0],
            labels: 2,
        }
    }

    #[test]
    fn words_are_joined_by_each_rule() {
        for (aggregation, bytes, probabilities) in [
            (Aggregation::Simple, vec![0..2, 2..4, 4..6, 7..9], vec![0.5, 0.5, 0.1, 0.9, 0.9, 0.1, 1.0, 0.0]),
            (Aggregation::First, vec![0..6, 7..9], vec![0.5, 0.5, 1.0, 0.0]),
            (Aggregation::Average, vec![0..6, 7..9], vec![0.5, 0.5, 1.0, 0.0]),
            (Aggregation::Max, vec![0..6, 7..9], vec![0.1, 0.9, 1.0, 0.0]),
        ] {
            let words = aggregate(&tokens(), aggregation);
            assert_eq!(words.bytes, bytes, "{aggregation}");
            assert_eq!(words.probabilities, probabilities, "{aggregation}");
        }
    }
}
