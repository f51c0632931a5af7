//! Passages through a model.

use std::num::NonZeroUsize;

use pubtag_ner::{Checkpoint, Decoder, Logits, MicroBatch, NerError, TokenClassifier};
use pubtag_schemas::{AnnotatedDocument, TokenWindow};
use pubtag_tokenize::{TokenizeError, WindowTokenizer};

use super::passages::Passage;
use crate::exit::Failure;

/// Passages and their windows.
#[derive(Debug)]
pub(crate) struct Tokenized {
    passages: Vec<Passage>,
    /// Of each passage.
    pub(crate) windows: Vec<Vec<TokenWindow>>,
}

impl Tokenized {
    /// Tokenizes passages.
    pub(crate) fn new(passages: Vec<Passage>, tokenizer: &WindowTokenizer) -> Result<Self, TokenizeError> {
        let windows = passages.iter().map(|passage| Ok(tokenizer.tokenize(&passage.text)?.windows));
        Ok(Self { windows: windows.collect::<Result<_, TokenizeError>>()?, passages })
    }

    /// The documents with what the model found in place of their own mentions; `rows` yields the logits of every token
    /// of every window, in order.
    pub(crate) fn decode<'a>(
        &self,
        documents: &[AnnotatedDocument],
        decoder: &Decoder,
        rows: &mut impl Iterator<Item = &'a [f32]>,
    ) -> Vec<AnnotatedDocument> {
        let without = |document: &AnnotatedDocument| AnnotatedDocument { mentions: Vec::new(), ..document.clone() };
        let mut found: Vec<AnnotatedDocument> = documents.iter().map(without).collect();
        for (passage, windows) in self.passages.iter().zip(&self.windows) {
            passage.give_back(decoder.decode(windows, rows), &mut found);
        }
        found
    }

    /// The logits of every window, in order; micro-batches hold at most so many tokens, or one longer window.
    pub(crate) fn classify(
        &self,
        model: &mut dyn TokenClassifier,
        token_budget: NonZeroUsize,
    ) -> Result<Vec<Logits>, NerError> {
        let mut logits = Vec::new();
        let mut batch = MicroBatch::default();
        for window in self.windows.iter().flatten() {
            if !batch.is_empty() && batch.token_count() + window.ids.len() > token_budget.get() {
                logits.push(model.classify(&std::mem::take(&mut batch))?);
            }
            batch.push(&window.ids);
        }
        if !batch.is_empty() {
            logits.push(model.classify(&batch)?);
        }
        Ok(logits)
    }
}

/// The tokenizer of a checkpoint.
pub(crate) fn tokenizer(checkpoint: &Checkpoint) -> Result<WindowTokenizer, Failure> {
    let size = pubtag_tokenize::WindowSize::of_model(checkpoint.max_tokens());
    WindowTokenizer::open(checkpoint.files().clone(), size).map_err(|error| Failure::new(error.kind(), error))
}

#[cfg(test)]
mod tests {
    use pubtag_ner::Padding;

    use super::*;

    /// Gives back each token's id, and notes how many there were at a time.
    struct Counting(Vec<usize>);

    impl TokenClassifier for Counting {
        fn classify(&mut self, batch: &MicroBatch) -> Result<Logits, NerError> {
            self.0.push(batch.token_count());
            let values = batch.ids().iter().map(|id| *id as f32).collect();
            Ok(Logits { labels: 1, values, padding: Padding::default() })
        }
    }

    #[test]
    fn the_token_budget_cuts_micro_batches_and_changes_nothing_else() {
        let window = |length: u32| TokenWindow { ids: (0..length).collect(), spans: Vec::new(), first_token: 0 };
        let windows = vec![[3, 4, 5].map(window).to_vec(), [20, 6].map(window).to_vec()];
        let tokenized = Tokenized { passages: Vec::new(), windows };
        let read = |budget| {
            let mut model = Counting(Vec::new());
            let budget = NonZeroUsize::new(budget).expect("not 0");
            let logits = tokenized.classify(&mut model, budget).expect("it cannot fail");
            (model.0, logits.into_iter().flat_map(|logits| logits.values).collect::<Vec<_>>())
        };
        assert_eq!(read(100).0, [38]);
        assert_eq!(read(10).0, [7, 5, 20, 6], "a window that is longer by itself is read all the same");
        assert_eq!(read(10).1, read(100).1);
    }
}
