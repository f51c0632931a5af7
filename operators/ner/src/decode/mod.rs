//! Logits into annotations, with the meaning of `transformers`' token-classification pipeline.
//!
//! ```text
//! windows ─► tokens (overlaps merged) ─► words (aggregation) ─► tags (Viterbi or argmax) ─► annotations
//! ```

mod document;
mod options;
mod spans;
mod tagging;
mod tokens;
mod words;

use pubtag_schemas::{Annotation, TokenWindow};

use crate::LabelSet;

pub(crate) use document::DocumentDecoder;
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
    /// The annotations stand in text order and do not overlap; none reaches from one context into the next.
    pub fn decode<'a>(&self, windows: &[TokenWindow], rows: &mut impl Iterator<Item = &'a [f32]>) -> Vec<Annotation> {
        let mut document = DocumentDecoder::new(self);
        windows.iter().for_each(|window| document.push(self, window, rows));
        document.finish(self)
    }
}
