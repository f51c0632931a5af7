//! Merges overlapping windows: each token of a document once, with its probabilities.

use pubtag_schemas::{TokenSpan, TokenWindow};

/// Consecutive tokens of a document in text order, without special tokens.
#[derive(Debug)]
pub(super) struct Tokens {
    /// Number of the first one in the document.
    first: usize,
    /// Byte range and word of each token.
    pub(super) spans: Vec<TokenSpan>,
    /// `[tokens, labels]`: probabilities of final tokens, logits of the others.
    values: Vec<f32>,
    /// How many are final.
    settled: usize,
    /// Length of a row of `values`.
    pub(super) labels: usize,
}

impl Tokens {
    /// No tokens yet.
    pub(super) fn new(labels: usize) -> Self {
        Self { first: 0, spans: Vec::new(), values: Vec::new(), settled: 0, labels }
    }

    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// The probabilities of a token, which must be final.
    pub(super) fn row(&self, token: usize) -> &[f32] {
        &self.values[token * self.labels..(token + 1) * self.labels]
    }

    /// How many are before a window.
    pub(super) fn before(&self, window: &TokenWindow) -> usize {
        (window.first_token as usize).saturating_sub(self.first).min(self.len())
    }

    /// Takes each token from the window in which it is furthest from a cut, where the model sees most of its context.
    ///
    /// `rows` yields the logits of every token of the window, including special tokens. The ends of the text are not cuts.
    pub(super) fn merge<'a>(&mut self, window: &TokenWindow, rows: &mut impl Iterator<Item = &'a [f32]>) {
        if self.spans.is_empty() {
            self.first = window.first_token as usize;
        }
        let (first, end) = (window.first_token as usize, self.first + self.len());
        let of_text = window.spans.iter().zip(rows).filter_map(|(span, row)| span.map(|span| (span, row)));
        for (token, (span, row)) in (first..).zip(of_text) {
            if token >= end {
                self.spans.push(span);
                self.values.extend_from_slice(row);
            } else if token - first > end - 1 - token {
                // Further from the start of this window than from the end of the previous one.
                let at = (token - self.first) * self.labels;
                self.values[at..at + self.labels].copy_from_slice(row);
            }
        }
    }

    /// Turns logits into probabilities for the first `tokens`, which no later window contains.
    pub(super) fn settle(&mut self, tokens: usize) {
        if tokens > self.settled {
            self.values[self.settled * self.labels..tokens * self.labels]
                .chunks_exact_mut(self.labels)
                .for_each(softmax);
            self.settled = tokens;
        }
    }

    /// Removes the first `tokens`, which must be final.
    pub(super) fn drop_front(&mut self, tokens: usize) {
        self.spans.drain(..tokens);
        self.values.drain(..tokens * self.labels);
        self.first += tokens;
        self.settled -= tokens;
    }
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
    use super::*;

    /// A window of tokens `first..end` between two special tokens.
    fn window(first: u32, end: u32) -> TokenWindow {
        let span = |token| Some(TokenSpan { start_byte: token, end_byte: token + 1, word: token });
        let spans: Vec<_> = [None].into_iter().chain((first..end).map(span)).chain([None]).collect();
        TokenWindow { ids: vec![0; spans.len()], spans, first_token: first, context: 0 }
    }

    #[test]
    fn a_token_is_taken_from_the_window_where_it_is_furthest_from_a_cut() {
        let windows = [window(0, 10), window(6, 16), window(12, 20)];
        // The logits of each window encode its number.
        let rows: Vec<[f32; 2]> = windows
            .iter()
            .zip([1.0, 2.0, 3.0])
            .flat_map(|(window, said)| vec![[said, 0.0]; window.ids.len()])
            .collect();
        let (mut tokens, mut rows) = (Tokens::new(2), rows.iter().map(<[f32; 2]>::as_slice));
        windows.iter().for_each(|window| tokens.merge(window, &mut rows));
        tokens.settle(20);
        let said = |token: usize| (tokens.row(token)[0] / tokens.row(token)[1]).ln().round() as u32;
        let sources: Vec<_> = (0..20).map(said).collect();
        assert_eq!(sources, [1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3]);
        assert!(tokens.spans.iter().zip(0..).all(|(span, token)| span.start_byte == token));
    }

    #[test]
    fn probabilities_sum_to_one_for_any_logits() {
        for mut row in [[0.0, 0.0, 0.0], [1000.0, -1000.0, 999.0], [-80.0, -81.0, -82.0]] {
            softmax(&mut row);
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{row:?}");
        }
    }
}
