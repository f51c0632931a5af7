//! A document's tokens with their probabilities, each once: overlapping windows merged.

use pubtag_schemas::{TokenSpan, TokenWindow};

/// The tokens of a document in text order, special tokens left out.
#[derive(Debug)]
pub(super) struct Tokens {
    /// Where each token stands.
    pub(super) spans: Vec<TokenSpan>,
    /// `[tokens, labels]`
    pub(super) probabilities: Vec<f32>,
    /// Length of a row of `probabilities`.
    pub(super) labels: usize,
}

impl Tokens {
    /// The probabilities of one token.
    pub(super) fn row(&self, token: usize) -> &[f32] {
        &self.probabilities[token * self.labels..(token + 1) * self.labels]
    }
}

/// Takes every token from the window in which it is furthest from a cut, where the model has seen most of its context.
///
/// `rows` yields the logits of every token of every window, special tokens included. The ends of the text are no cuts.
pub(super) fn merge<'a>(windows: &[TokenWindow], labels: usize, rows: &mut impl Iterator<Item = &'a [f32]>) -> Tokens {
    let mut tokens = Tokens { spans: Vec::new(), probabilities: Vec::new(), labels };
    for window in windows {
        let first = window.first_token as usize;
        let previous_end = tokens.spans.len();
        let of_text = window.spans.iter().zip(&mut *rows).filter_map(|(span, row)| span.map(|span| (span, row)));
        for (token, (span, row)) in (first..).zip(of_text) {
            if token >= previous_end {
                tokens.spans.push(span);
                tokens.probabilities.extend_from_slice(row);
            } else if token - first > previous_end - 1 - token {
                // Further from the cut in front of this window than from the cut behind the one before.
                tokens.probabilities[token * labels..(token + 1) * labels].copy_from_slice(row);
            }
        }
    }
    tokens.probabilities.chunks_exact_mut(labels).for_each(softmax);
    tokens
}

/// Logits into probabilities, in place.
fn softmax(row: &mut [f32]) {
    let highest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    row.iter_mut().for_each(|value| *value = (*value - highest).exp());
    let sum: f32 = row.iter().sum();
    row.iter_mut().for_each(|value| *value /= sum);
}

#[cfg(test)]
mod tests {
    use pubtag_schemas::TokenWindow;

    use super::*;

    /// A window of tokens `first..end` between two special tokens.
    fn window(first: u32, end: u32) -> TokenWindow {
        let span = |token| Some(TokenSpan { start_byte: token, end_byte: token + 1, word: token });
        let spans: Vec<_> = [None].into_iter().chain((first..end).map(span)).chain([None]).collect();
        TokenWindow { ids: vec![0; spans.len()], spans, first_token: first }
    }

    #[test]
    fn a_token_is_taken_from_the_window_where_it_is_furthest_from_a_cut() {
        let windows = vec![window(0, 10), window(6, 16), window(12, 20)];
        // Each window says for each of its tokens with the logit which window it is.
        let rows: Vec<[f32; 2]> = windows
            .iter()
            .zip([1.0, 2.0, 3.0])
            .flat_map(|(window, said)| vec![[said, 0.0]; window.ids.len()])
            .collect();
        let tokens = merge(&windows, 2, &mut rows.iter().map(<[f32; 2]>::as_slice));
        let said = |token: usize| (tokens.row(token)[0] / tokens.row(token)[1]).ln().round() as u32;
        let sources: Vec<_> = (0..20).map(said).collect();
        assert_eq!(sources, [1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3]);
        assert!(tokens.spans.iter().zip(0..).all(|(span, token)| span.start_byte == token));
    }

    #[test]
    fn probabilities_sum_to_one_whatever_the_logits() {
        for mut row in [[0.0, 0.0, 0.0], [1000.0, -1000.0, 999.0], [-80.0, -81.0, -82.0]] {
            softmax(&mut row);
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{row:?}");
        }
    }
}
