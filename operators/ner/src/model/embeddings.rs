//! Token ids to vectors.

use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor};

use super::parts::{LayerNorm, Linear, parameter, primitive};
use crate::backend::{EmbeddingTensors, NerBackend};
use crate::config::EncoderConfig;
use crate::weights::Weights;

/// The sum of word, position and token-type embedding, normalised.
#[derive(Module, Debug)]
pub(crate) struct Embeddings<B: Backend> {
    /// `[vocabulary, embedding]`
    pub(crate) words: Param<Tensor<B, 2>>,
    /// `[positions, embedding]`
    pub(crate) positions: Param<Tensor<B, 2>>,
    /// `[types, embedding]`; only row 0 is used, since an input is one text.
    pub(crate) token_types: Option<Param<Tensor<B, 2>>>,
    /// Applied to the sum.
    pub(crate) norm: LayerNorm<B>,
    /// From the width of the embeddings to that of the layers, if they differ (ELECTRA).
    pub(crate) projection: Option<Linear<B>>,
    dropout: Dropout,
}

impl<B: Backend> Embeddings<B> {
    pub(crate) fn load(config: &EncoderConfig, weights: &mut Weights, device: &B::Device) -> Self {
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

    /// The embeddings in the form that backends take.
    pub(crate) fn tensors(&self) -> EmbeddingTensors<B> {
        EmbeddingTensors {
            words: primitive(&self.words),
            positions: primitive(&self.positions),
            token_types: self.token_types.as_ref().map(primitive),
            norm: self.norm.tensors(),
            epsilon: self.norm.eps,
            projection: self.projection.as_ref().map(Linear::tensors),
        }
    }
}

impl<B: NerBackend> Embeddings<B> {
    /// Ids `[T]` and positions `[T]` → `[T, hidden]`
    pub(crate) fn forward(&self, ids: Tensor<B, 1, Int>, positions: Tensor<B, 1, Int>) -> Tensor<B, 2> {
        let mut sum = self.words.val().select(0, ids) + self.positions.val().select(0, positions); // [T, embedding]
        if let Some(types) = &self.token_types {
            sum = sum + types.val().narrow(0, 0, 1);
        }
        let embedded = self.dropout.forward(self.norm.forward(sum));
        match &self.projection {
            Some(projection) => projection.forward(embedded),
            None => embedded,
        }
    }
}
