//! Logits into annotations, as in `transformers`' token-classification pipeline.
//!
//! ```text
//! windows ─► tokens (overlaps merged) ─► words (aggregation) ─► tags (Viterbi or argmax) ─► annotations
//! ```

mod decoder;
mod document;
mod options;
mod probabilities;
mod spans;
mod tagging;
mod tokens;
mod words;

pub use decoder::Decoder;
pub(crate) use document::DocumentDecoder;
pub use options::{Aggregation, Decoding};
pub use probabilities::WordProbabilities;
pub(crate) use tagging::most_probable;
