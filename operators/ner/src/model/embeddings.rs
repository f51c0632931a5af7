//! Token ids to vectors.

use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor};

use super::parts::{LayerNorm, Linear, parameter};
use crate::backend::NerBackend;
use crate::config::ModelConfig;
use crate::weights::Weights;

/// The sum of word, position and token-type embedding, normalised.
#[derive(Module, Debug)]
pub struct Embeddings<B: Backend> {
    /// `[vocabulary, embedding]`
    pub words: Param<Tensor<B, 2>>,
    /// `[positions, embedding]`
    pub positions: Param<Tensor<B, 2>>,
    /// `[types, embedding]`; an input is one text, whose type is row 0.
    pub token_types: Option<Param<Tensor<B, 2>>>,
    /// Over the sum.
    pub norm: LayerNorm<B>,
    /// From the embeddings' width to the layers', where they differ (ELECTRA).
    pub projection: Option<Linear<B>>,
    dropout: Dropout,
}

impl<B: Backend> Embeddings<B> {
    pub(crate) fn load(config: &ModelConfig, weights: &mut Weights, device: &B::Device) -> Self {
        let width = config.embedding_size;
        let mut table = |name, rows| {
            let values = weights.take(&format!("embeddings.{name}_embeddings.weight"));
            parameter(values, [rows, width], device)
        };
        Self {
            words: table("word", config.vocab_size),
            positions: table("position", config.positions),
            token_types: (config.token_types > 0).then(|| table("token_type", config.token_types)),
            norm: LayerNorm::load("embeddings.LayerNorm", config.layer_norm_eps, weights, device),
            projection: (width != config.hidden_size)
                .then(|| Linear::load(&["embeddings_project"], width, weights, device)),
            dropout: DropoutConfig::new(config.hidden_dropout).init(),
        }
    }
}

impl<B: NerBackend> Embeddings<B> {
    /// Ids `[T]` and positions `[T]` → `[T, hidden]`
    pub fn forward(&self, ids: Tensor<B, 1, Int>, positions: Tensor<B, 1, Int>) -> Tensor<B, 2> {
        let embedded = self.dropout.forward(B::embed(self, ids, positions)); // [T, embedding]
        match &self.projection {
            Some(projection) => projection.forward(embedded),
            None => embedded,
        }
    }
}
