//! Settings of decoding.

use super::options::{Aggregation, Decoding};
use crate::LabelSet;

/// Decodes a document's logits into annotations.
#[derive(Clone, Debug)]
pub struct Decoder {
    pub(super) labels: LabelSet,
    pub(crate) aggregation: Aggregation,
    pub(super) decoding: Decoding,
}

impl Decoder {
    /// Makes a decoder for a model's labels.
    pub fn new(labels: LabelSet, aggregation: Aggregation, decoding: Decoding) -> Self {
        Self { labels, aggregation, decoding }
    }
}
