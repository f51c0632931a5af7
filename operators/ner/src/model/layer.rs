//! One layer of the encoder.

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::attention::SelfAttention;
use super::parts::{LayerNorm, Linear, activate};
use crate::backend::{LayerSettings, LayerTensors, NerBackend};
use crate::config::{Activation, EncoderConfig};
use crate::packed::Sequences;
use crate::weights::Weights;

/// Attention and a feed-forward network, each with a residual connection and a LayerNorm after it.
#[derive(Module, Debug)]
pub(crate) struct EncoderLayer<B: Backend> {
    /// Self-attention.
    pub(crate) attention: SelfAttention<B>,
    /// After attention.
    pub(crate) attention_norm: LayerNorm<B>,
    /// `[hidden, intermediate]`
    pub(crate) intermediate: Linear<B>,
    /// `[intermediate, hidden]`
    pub(crate) output: Linear<B>,
    /// After the feed-forward network.
    pub(crate) output_norm: LayerNorm<B>,
    /// Between the two feed-forward layers.
    #[module(skip)]
    pub(crate) activation: Activation,
    dropout: Dropout,
}

impl<B: Backend> EncoderLayer<B> {
    pub(crate) fn load(config: &EncoderConfig, layer: usize, weights: &mut Weights, device: &B::Device) -> Self {
        let &EncoderConfig { hidden_size, intermediate_size, layer_norm_eps: eps, .. } = config;
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

    /// The layer in the form that backends take.
    pub(crate) fn tensors(&self) -> LayerTensors<B> {
        let weights = [&self.attention.query_key_value, &self.attention.output, &self.intermediate, &self.output]
            .map(Linear::tensors);
        let norms = [&self.attention_norm, &self.output_norm].map(LayerNorm::tensors);
        let ([[a, b], [c, d], [g, h], [i, j]], [[e, f], [k, l]]) = (weights, norms);
        let settings = LayerSettings {
            heads: self.attention.heads,
            activation: self.activation,
            epsilon: [self.attention_norm.eps, self.output_norm.eps],
            hidden_dropout: self.dropout.prob,
            attention_dropout: self.attention.dropout.prob,
        };
        LayerTensors { settings, parameters: [a, b, c, d, e, f, g, h, i, j, k, l] }
    }
}

impl<B: NerBackend> EncoderLayer<B> {
    /// `[T, hidden]` → `[T, hidden]`, in plain operations; `bias` as in [`SelfAttention::forward`].
    pub(crate) fn forward(
        &self,
        hidden: Tensor<B, 2>,
        sequences: &Sequences<B>,
        bias: Option<&Tensor<B, 2>>,
    ) -> Tensor<B, 2> {
        let attended = self.dropout.forward(self.attention.forward(hidden.clone(), sequences, bias));
        let hidden = self.attention_norm.forward(attended + hidden);
        let widened = activate(self.intermediate.forward(hidden.clone()), self.activation); // [T, intermediate]
        let narrowed = self.dropout.forward(self.output.forward(widened)); // [T, hidden]
        self.output_norm.forward(narrowed + hidden)
    }

    /// The same with gradients, as one operation if the backend has one.
    pub(crate) fn forward_training(
        &self,
        hidden: Tensor<B, 2>,
        sequences: &Sequences<B>,
        bias: Option<&Tensor<B, 2>>,
    ) -> Tensor<B, 2> {
        let fused = B::differentiable_layer(&self.tensors(), &hidden, sequences, bias);
        fused.unwrap_or_else(|| self.forward(hidden, sequences, bias))
    }
}
