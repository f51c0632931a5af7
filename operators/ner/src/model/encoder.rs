//! All layers below the head.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::embeddings::Embeddings;
use super::inputs::Inputs;
use super::layer::EncoderLayer;
use crate::backend::{FusedEncoder, NerBackend};
use crate::config::EncoderConfig;
use crate::kernels;
use crate::weights::Weights;

/// The encoder, in the form that is trained and saved.
#[derive(Module, Debug)]
pub(crate) struct Encoder<B: Backend> {
    /// Token ids to vectors.
    pub(crate) embeddings: Embeddings<B>,
    /// From the lowest.
    pub(crate) layers: Vec<EncoderLayer<B>>,
}

/// The encoder, in the form that its backend runs.
pub(crate) struct PreparedEncoder<B: NerBackend> {
    embeddings: Embeddings<B>,
    layers: Layers<B>,
}

enum Layers<B: NerBackend> {
    Fused(Box<dyn FusedEncoder<B>>),
    /// One by one, if the backend has no fused encoder.
    Plain(Vec<EncoderLayer<B>>),
}

impl<B: Backend> Encoder<B> {
    pub(crate) fn load(config: &EncoderConfig, weights: &mut Weights, device: &B::Device) -> Self {
        Self {
            embeddings: Embeddings::load(config, weights, device),
            layers: (0..config.layers).map(|layer| EncoderLayer::load(config, layer, weights, device)).collect(),
        }
    }
}

impl<B: NerBackend> Encoder<B> {
    /// Computes the hidden states `[T, hidden]`, differentiably.
    pub(crate) fn forward(&self, inputs: &Inputs<B>) -> Tensor<B, 2> {
        let hidden = self.embeddings.forward(inputs.ids.clone(), inputs.positions.clone());
        self.layers.iter().fold(hidden, |hidden, layer| layer.forward_training(hidden, &inputs.sequences))
    }

    /// Converts the encoder to the form that its backend runs.
    pub(crate) fn prepare(self, precision: kernels::Precision) -> PreparedEncoder<B> {
        let tensors: Vec<_> = self.layers.iter().map(EncoderLayer::tensors).collect();
        let layers = match B::fuse(&tensors, precision) {
            Some(fused) => Layers::Fused(fused),
            None => Layers::Plain(self.layers),
        };
        PreparedEncoder { embeddings: self.embeddings, layers }
    }
}

impl<B: NerBackend> PreparedEncoder<B> {
    /// The same encoder for another thread: shares the weights, but has working memory of its own.
    pub(crate) fn for_another_thread(&self) -> Self {
        let layers = match &self.layers {
            Layers::Fused(encoder) => Layers::Fused(encoder.for_another_thread()),
            Layers::Plain(layers) => Layers::Plain(layers.clone()),
        };
        Self { embeddings: self.embeddings.clone(), layers }
    }

    /// Computes the hidden states `[T, hidden]`.
    pub(crate) fn forward(&mut self, inputs: &Inputs<B>) -> Tensor<B, 2> {
        let hidden = self.embeddings.forward(inputs.ids.clone(), inputs.positions.clone());
        match &mut self.layers {
            Layers::Fused(encoder) => encoder.forward(hidden, &inputs.sequences),
            Layers::Plain(layers) => {
                layers.iter().fold(hidden, |hidden, layer| layer.forward(hidden, &inputs.sequences))
            }
        }
    }
}
