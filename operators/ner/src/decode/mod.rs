//! Logits into annotations, with the meaning of `transformers`' token-classification pipeline.
//!
//! ```text
//! windows ─► tokens (overlaps merged) ─► words (aggregation) ─► tags (Viterbi or argmax) ─► annotations
//! ```

mod options;
mod spans;
mod tagging;
mod tokens;
mod words;

use pubtag_schemas::{Annotation, TokenWindow};

use crate::LabelSet;

pub use options::{Aggregation, Decoding, OptionError};

/// Turns a document's logits into annotations.
#[derive(Clone, Debug)]
pub struct Decoder {
    labels: LabelSet,
    aggregation: Aggregation,
    decoding: Decoding,
}

impl Decoder {
    /// A decoder for a model's labels.
    pub fn new(labels: LabelSet, aggregation: Aggregation, decoding: Decoding) -> Self {
        Self { labels, aggregation, decoding }
    }

    /// Decodes a document's windows, in text order. `rows` yields the logits of every token of every window, in order.
    ///
    /// The annotations stand in text order and do not overlap.
    pub fn decode<'a>(&self, windows: &[TokenWindow], rows: &mut impl Iterator<Item = &'a [f32]>) -> Vec<Annotation> {
        let tokens = tokens::merge(windows, self.labels.count(), rows);
        let words = words::aggregate(&tokens, self.aggregation);
        let chosen = match self.decoding {
            Decoding::Argmax => tagging::argmax(&words),
            Decoding::Viterbi => tagging::viterbi(&words, self.labels.tags()),
        };
        spans::annotations(&words, &chosen, &self.labels)
    }
}
