//! The probabilities of a text's words, without a decision for a tag.

use pubtag_schemas::TokenWindow;

use super::options::Aggregation;
use super::tokens::Tokens;
use super::words::Words;

/// The probabilities of the labels of each word of a text, by the word's first token.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WordProbabilities {
    /// Of each label, whether the model knows its type.
    known: Vec<bool>,
    /// The byte where each word begins, ascending.
    starts: Vec<usize>,
    /// `[words, labels]`
    values: Vec<f32>,
}

impl WordProbabilities {
    /// Reads the windows of a text, in text order. `rows` yields the logits of every token of every window, in order.
    pub(crate) fn read<'a>(windows: &[TokenWindow], labels: usize, rows: &mut impl Iterator<Item = &'a [f32]>) -> Self {
        let mut words = Words::new(labels);
        for context in windows.chunk_by(|one, next| one.context == next.context) {
            let mut tokens = Tokens::new(labels);
            context.iter().for_each(|window| tokens.merge(window, rows));
            tokens.settle(tokens.len());
            words.join(&tokens, tokens.len(), Aggregation::First, true);
        }
        let starts = words.bytes.iter().map(|bytes| bytes.start).collect();
        Self { known: vec![true; labels], starts, values: words.probabilities }
    }

    /// The probabilities of the labels of the word that begins at a byte.
    pub fn of_word_at(&self, byte: usize) -> Option<&[f32]> {
        let word = self.starts.binary_search(&byte).ok()?;
        Some(self.row(word))
    }

    /// Number of words.
    pub fn words(&self) -> usize {
        self.starts.len()
    }

    fn row(&self, word: usize) -> &[f32] {
        let labels = self.known.len();
        &self.values[word * labels..(word + 1) * labels]
    }

    /// The same words with other labels, of which the model has the known ones; `relabel` adds the probabilities to a row
    /// of zeros.
    pub(crate) fn relabelled(self, known: Vec<bool>, relabel: impl Fn(&[f32], &mut [f32])) -> Self {
        let mut values = vec![0.0; self.words() * known.len()];
        let rows = (0..self.words()).map(|word| self.row(word));
        rows.zip(values.chunks_exact_mut(known.len())).for_each(|(from, to)| relabel(from, to));
        Self { known, starts: self.starts, values }
    }

    /// What several models together say of the same text, for the words that all of them have: of each label, the mean over
    /// the models that know it. If a model does not know all, its `O` does not deny the others; then `outside`, the label
    /// of `O`, gets what the other labels leave.
    ///
    /// A model must know each label.
    pub fn mean(all: &[Self], outside: usize) -> Self {
        let Some((first, others)) = all.split_first() else { return Self::default() };
        let labels = first.known.len();
        let known_to = |label: usize| all.iter().filter(|model| model.known[label]).count();
        let shares: Vec<f32> = (0..labels).map(|label| 1.0 / known_to(label) as f32).collect();
        let all_know_all = all.iter().all(|model| !model.known.contains(&false));
        let mut mean = Self { known: vec![true; labels], ..Self::default() };
        for (word, &start) in first.starts.iter().enumerate() {
            let Some(rows) = others.iter().map(|other| other.of_word_at(start)).collect::<Option<Vec<_>>>() else {
                continue;
            };
            let rows = || all.iter().zip([first.row(word)].into_iter().chain(rows.iter().copied()));
            let sum =
                |label: usize| rows().filter(|(model, _)| model.known[label]).map(|(_, row)| row[label]).sum::<f32>();
            let mut row: Vec<f32> = (0..labels).map(|label| shares[label] * sum(label)).collect();
            if !all_know_all {
                leave_the_rest_to(&mut row, outside);
            }
            mean.starts.push(start);
            mean.values.extend(row);
        }
        mean
    }
}

/// Sets a label's probability to what the others leave; if they claim more than 1, they are scaled to 1.
fn leave_the_rest_to(row: &mut [f32], label: usize) {
    row[label] = 0.0;
    let claimed = row.iter().sum::<f32>();
    row.iter_mut().for_each(|share| *share /= claimed.max(1.0));
    row[label] = (1.0 - claimed).max(0.0);
}

#[cfg(test)]
mod tests {
    use pubtag_schemas::TokenSpan;

    use super::*;

    /// A window of one-letter words at every second byte, two tokens each, between special tokens.
    fn window(words: std::ops::Range<u32>, context: u32) -> TokenWindow {
        let token = |word: u32, half: u32| Some(TokenSpan { start_byte: 2 * word, end_byte: 2 * word + half, word });
        let tokens = words.clone().flat_map(|word| [token(word, 1), token(word, 2)]);
        let spans: Vec<_> = [None].into_iter().chain(tokens).chain([None]).collect();
        TokenWindow { ids: vec![0; spans.len()], spans, first_token: 2 * words.start, context }
    }

    #[test]
    fn a_word_has_the_probabilities_of_its_first_token_in_every_context() {
        let windows = [window(0..3, 0), window(2..5, 0), window(5..6, 1)];
        let logits = |span: &Option<TokenSpan>| match span {
            Some(span) if span.end_byte - span.start_byte == 1 => [(span.word as f32).ln_1p(), 0.0],
            _ => [9.0, 0.0],
        };
        let rows: Vec<[f32; 2]> = windows.iter().flat_map(|window| &window.spans).map(logits).collect();
        let read = WordProbabilities::read(&windows, 2, &mut rows.iter().map(<[f32; 2]>::as_slice));
        assert_eq!(read.words(), 6);
        for word in 0..6 {
            // Logits ln(1 + word) and 0.
            let row = read.of_word_at(2 * word).expect("the word was read");
            let expected = (1.0 + word as f32) / (2.0 + word as f32);
            assert!((row[0] - expected).abs() < 1e-6 && (row[1] - 1.0 + expected).abs() < 1e-6, "{word}: {row:?}");
        }
        assert_eq!(read.of_word_at(3), None);
    }

    fn of(starts: &[usize], known: &[bool], row: &[f32]) -> WordProbabilities {
        let values = starts.iter().flat_map(|_| row).copied().collect();
        WordProbabilities { known: known.to_vec(), starts: starts.to_vec(), values }
    }

    #[test]
    fn the_mean_has_the_words_that_all_models_have() {
        let of = |starts: &[usize], share: f32| of(starts, &[true; 2], &[share, 1.0 - share]);
        let mean = WordProbabilities::mean(&[of(&[0, 4, 9], 0.5), of(&[0, 5, 9], 0.25)], 0);
        assert_eq!((mean.words(), mean.of_word_at(9)), (2, Some(&[0.375, 0.625][..])));
        assert_eq!(WordProbabilities::mean(&[of(&[3], 0.5)], 0), of(&[3], 0.5));
    }

    #[test]
    fn a_label_has_the_mean_of_the_models_that_have_it() {
        // Labels O, A and B; one model has no B.
        let mean = |of_all: &[f32], of_one: &[f32]| {
            let models = [of(&[0], &[true; 3], of_all), of(&[0], &[true, true, false], of_one)];
            WordProbabilities::mean(&models, 0).of_word_at(0).map(<[f32]>::to_vec)
        };
        assert_eq!(mean(&[0.25, 0.25, 0.5], &[0.75, 0.25, 0.0]), Some(vec![0.25, 0.25, 0.5]));
        // Both claim the word: 0.5 and 0.75 of 1.25.
        assert_eq!(mean(&[0.25, 0.0, 0.75], &[0.0, 1.0, 0.0]), Some(vec![0.0, 0.4, 0.6]));
    }
}
