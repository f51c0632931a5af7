//! Passages through a model.

use pubtag_ner::{Checkpoint, Decoder, Logits, MicroBatch, NerError, TokenClassifier};
use pubtag_schemas::{AnnotatedDocument, TokenWindow};
use pubtag_tokenize::{TokenizeError, WindowTokenizer};

use super::passages::Passage;
use crate::exit::Failure;

/// Tokens of a micro-batch.
const TOKEN_BUDGET: usize = 4096;

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
        let windows = passages.iter().map(|passage| Ok(tokenizer.tokenize(&passage.text, &[])?.windows));
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

    /// The logits of every window, in order.
    pub(crate) fn classify(&self, model: &mut dyn TokenClassifier) -> Result<Vec<Logits>, NerError> {
        let mut logits = Vec::new();
        let mut batch = MicroBatch::default();
        for window in self.windows.iter().flatten() {
            if !batch.is_empty() && batch.token_count() + window.ids.len() > TOKEN_BUDGET {
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
