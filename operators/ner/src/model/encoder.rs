//! All layers below the head.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::distance::DistanceBias;
use super::embeddings::Embeddings;
use super::inputs::Inputs;
use super::layer::EncoderLayer;
use super::parts::Linear;
use crate::backend::{EncoderTensors, FusedEncoder, NerBackend};
use crate::config::EncoderConfig;
use crate::kernels;
use crate::weights::Weights;

/// The encoder, in the form that is trained and saved.
#[derive(Module, Debug)]
pub(crate) struct Encoder<B: Backend> {
    /// Token ids to vectors.
    pub(crate) embeddings: Embeddings<B>,
    /// Added to the attention scores of every layer (MPNet).
    pub(crate) distance_bias: Option<DistanceBias<B>>,
    /// From the lowest.
    pub(crate) layers: Vec<EncoderLayer<B>>,
}

/// The encoder, in the form that its backend runs, with the linear layer after it, if there is one.
pub(crate) enum PreparedEncoder<B: NerBackend> {
    Fused(Box<dyn FusedEncoder<B>>),
    /// Operation by operation, if the backend has no fused encoder.
    Plain(Box<(Encoder<B>, Option<Linear<B>>)>),
}

impl<B: Backend> Encoder<B> {
    pub(crate) fn load(config: &EncoderConfig, weights: &mut Weights, device: &B::Device) -> Self {
        Self {
            embeddings: Embeddings::load(config, weights, device),
            distance_bias: DistanceBias::load(config, weights, device),
            layers: (0..config.layers).map(|layer| EncoderLayer::load(config, layer, weights, device)).collect(),
        }
    }
}

impl<B: NerBackend> Encoder<B> {
    /// Computes the hidden states `[T, hidden]`, differentiably.
    pub(crate) fn forward(&self, inputs: &Inputs<B>) -> Tensor<B, 2> {
        let hidden = self.embeddings.forward(inputs.ids.clone(), inputs.positions.clone());
        let bias = self.bias_by_distance();
        let sequences = &inputs.sequences;
        self.layers.iter().fold(hidden, |hidden, layer| layer.forward_training(hidden, sequences, bias.as_ref()))
    }

    /// What attention adds to scores: `[heads, 2·longest − 1]`, from the farthest key before a query to that behind it.
    fn bias_by_distance(&self) -> Option<Tensor<B, 2>> {
        self.distance_bias.as_ref().map(DistanceBias::by_distance)
    }

    /// Converts the encoder, and the linear layer after it, to the form that its backend runs.
    pub(crate) fn prepare(self, head: Option<Linear<B>>, precision: kernels::Precision) -> PreparedEncoder<B> {
        let tensors = EncoderTensors {
            embeddings: self.embeddings.tensors(),
            bias: self.bias_by_distance().map(|bias| bias.into_primitive().tensor()),
            layers: self.layers.iter().map(EncoderLayer::tensors).collect(),
            head: head.as_ref().map(Linear::tensors),
        };
        match B::fuse(&tensors, precision) {
            Some(fused) => PreparedEncoder::Fused(fused),
            None => PreparedEncoder::Plain(Box::new((self, head))),
        }
    }
}

impl<B: NerBackend> PreparedEncoder<B> {
    /// The same encoder for another thread: shares the weights, but has working memory of its own.
    pub(crate) fn for_another_thread(&self) -> Self {
        match self {
            Self::Fused(encoder) => Self::Fused(encoder.for_another_thread()),
            Self::Plain(parts) => Self::Plain(parts.clone()),
        }
    }

    /// Computes the hidden states `[T, hidden]`, or with a head its outputs `[T, outputs]`; rows of tokens that are not
    /// scored may be anything finite.
    pub(crate) fn forward(&mut self, inputs: &Inputs<B>) -> Tensor<B, 2> {
        let Inputs { ids, positions, sequences, scored } = inputs;
        let (ids, positions) = (ids.clone(), positions.clone());
        match self {
            Self::Fused(encoder) => encoder.forward(ids, positions, sequences, scored),
            Self::Plain(parts) => {
                let (encoder, head) = &**parts;
                let hidden = encoder.embeddings.forward(ids, positions);
                let bias = encoder.bias_by_distance();
                let layers = encoder.layers.iter();
                let hidden = layers.fold(hidden, |hidden, layer| layer.forward(hidden, sequences, bias.as_ref()));
                match head {
                    Some(head) => head.forward(hidden),
                    None => hidden,
                }
            }
        }
    }
}
