//! The models: BERT's encoder (Devlin et al., 2019) over packed sequences, with a head.
//!
//! ```text
//!                          ┌─► Linear ─► logits [T, labels]                                token classification
//! ids [T] ─► Encoder ──────┤
//!   Embeddings, layers     └─► MaskedHead at masked tokens ─► logits [masked, vocabulary]   masked language modelling
//! ```
//!
//! T is the number of tokens of all sequences. The modules are generic over the backend; under `Autodiff` they can be
//! trained, dropout included. For inference, [`Encoder::prepare`] gives the encoder to the backend.

mod attention;
mod distance;
mod embeddings;
mod encoder;
mod inputs;
mod layer;
mod masked;
mod parts;
mod tokens;

pub(crate) use encoder::{Encoder, PreparedEncoder};
pub(crate) use inputs::Inputs;
pub(crate) use layer::EncoderLayer;
pub(crate) use masked::MaskedLanguage;
pub(crate) use parts::{LayerNorm, Linear};
pub(crate) use tokens::TokenClassification;
