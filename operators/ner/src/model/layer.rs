//! One layer of the encoder.

use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;

use super::attention::SelfAttention;
use super::parts::{LayerNorm, Linear};
use crate::backend::NerBackend;
use crate::config::{Activation, ModelConfig};
use crate::packed::Sequences;
use crate::recorded::{LayerParameters, LayerSettings};
use crate::weights::Weights;

/// Attention and a feed-forward network, each with a residual connection and a LayerNorm after it.
#[derive(Module, Debug)]
pub struct EncoderLayer<B: Backend> {
    /// Between tokens.
    pub attention: SelfAttention<B>,
    /// After attention.
    pub attention_norm: LayerNorm<B>,
    /// `[hidden, intermediate]`
    pub intermediate: Linear<B>,
    /// `[intermediate, hidden]`
    pub output: Linear<B>,
    /// After the feed-forward network.
    pub output_norm: LayerNorm<B>,
    /// Between the two feed-forward layers.
    #[module(skip)]
    pub activation: Activation,
    dropout: Dropout,
}

impl<B: Backend> EncoderLayer<B> {
    pub(crate) fn load(config: &ModelConfig, layer: usize, weights: &mut Weights, device: &B::Device) -> Self {
        let &ModelConfig { hidden_size, intermediate_size, layer_norm_eps: eps, .. } = config;
        let name = |module: &str| format!("encoder.layer.{layer}.{module}");
        Self {
            attention: SelfAttention::load(config, layer, weights, device),
            attention_norm: LayerNorm::load(&name("attention.output.LayerNorm"), eps, weights, device),
            intermediate: Linear::load(&[&name("intermediate.dense")], hidden_size, weights, device),
            output: Linear::load(&[&name("output.dense")], intermediate_size, weights, device),
            output_norm: LayerNorm::load(&name("output.LayerNorm"), eps, weights, device),
            activation: config.activation,
            dropout: DropoutConfig::new(config.hidden_dropout).init(),
        }
    }
}

impl<B: NerBackend> EncoderLayer<B> {
    /// `[T, hidden]` → `[T, hidden]`
    pub fn forward(&self, hidden: Tensor<B, 2>, sequences: &Sequences<B>) -> Tensor<B, 2> {
        let attended = self.dropout.forward(self.attention.forward(hidden.clone(), sequences));
        let hidden = B::residual_norm(&self.attention_norm, attended, hidden);
        let widened = self.intermediate.forward_activated(hidden.clone(), self.activation); // [T, intermediate]
        let narrowed = self.dropout.forward(self.output.forward(widened)); // [T, hidden]
        B::residual_norm(&self.output_norm, narrowed, hidden)
    }
    /// Weights and biases in the order of [`LayerParameters`].
    pub(crate) fn parameters(&self) -> LayerParameters<B> {
        let weights = [&self.attention.query_key_value, &self.attention.output, &self.intermediate, &self.output]
            .map(|linear| [primitive(&linear.weight), primitive(&linear.bias)]);
        let norms =
            [&self.attention_norm, &self.output_norm].map(|norm| [primitive(&norm.weight), primitive(&norm.bias)]);
        let ([[a, b], [c, d], [g, h], [i, j]], [[e, f], [k, l]]) = (weights, norms);
        [a, b, c, d, e, f, g, h, i, j, k, l]
    }

    /// What decides the result beside the parameters.
    pub(crate) fn settings(&self, seed: u64) -> LayerSettings {
        LayerSettings {
            heads: self.attention.heads,
            activation: self.activation,
            epsilon: [self.attention_norm.eps, self.output_norm.eps],
            hidden_dropout: self.dropout.prob,
            attention_dropout: self.attention.dropout.prob,
            seed,
        }
    }
}

fn primitive<B: Backend, const D: usize>(parameter: &Param<Tensor<B, D>>) -> FloatTensor<B> {
    parameter.val().into_primitive().tensor()
}
