//! Models and tokenized documents for the tests of this crate.

use std::path::Path;

use pubtag_schemas::testing::citation;
use pubtag_schemas::{Record, TokenSpan, TokenWindow, Tokenized, TokenizedDocument, TokenizedRecord};

use crate::config::ModelConfig;
use crate::weights::Weights;

/// The configuration and weights of a model in `tests/fixtures`.
pub(crate) fn fixture(name: &str) -> (ModelConfig, Weights) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name);
    let config = ModelConfig::read(&directory.clone().into(), "config.json").expect("a fixture is valid");
    let path = directory.join("model.safetensors");
    let bytes = std::fs::read(&path).expect("a fixture has weights");
    let weights = Weights::parse(&bytes, &path, &config.encoder, config.head()).expect("a fixture is valid");
    (config, weights)
}

/// A document whose windows have these many tokens, one word of one letter each; neighbours do not overlap.
pub(crate) fn document(lengths: &[usize]) -> TokenizedRecord {
    Record::Document(Tokenized::Document(document_of(lengths)))
}

/// The same, not yet a record.
pub(crate) fn document_of(lengths: &[usize]) -> TokenizedDocument {
    let count: usize = lengths.iter().sum();
    let mut first = 0;
    let windows = lengths.iter().map(|&length| {
        let span = |token: u32| TokenSpan { start_byte: 2 * token, end_byte: 2 * token + 1, word: token };
        let end = first + u32::try_from(length).expect("short");
        let window = TokenWindow {
            ids: (first..end).map(|token| token % 7).collect(),
            spans: (first..end).map(|token| Some(span(token))).collect(),
            first_token: first,
            context: 0,
        };
        first = end;
        window
    });
    let (windows, token_count) = (windows.collect(), u32::try_from(count).expect("short"));
    TokenizedDocument { citation: citation(&"a ".repeat(count)), windows, token_count }
}
