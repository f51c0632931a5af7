//! Masked language modelling (Devlin et al., 2019).

use burn::module::{Module, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor};

use super::encoder::Encoder;
use super::inputs::Inputs;
use super::parts::{LayerNorm, Linear, activate, parameter};
use crate::backend::{NerBackend, linear};
use crate::config::{Activation, EncoderConfig};
use crate::weights::Weights;

/// An encoder that says which word is at a masked token.
#[derive(Module, Debug)]
pub(crate) struct MaskedLanguage<B: Backend> {
    /// Token ids to vectors that know their context.
    pub(crate) encoder: Encoder<B>,
    /// Vectors to logits.
    pub(crate) head: MaskedHead<B>,
}

/// Vectors of masked tokens to logits of the vocabulary. The decoder's matrix is the table of word embeddings.
#[derive(Module, Debug)]
pub(crate) struct MaskedHead<B: Backend> {
    /// `[hidden, hidden]`
    pub(crate) transform: Linear<B>,
    /// After the activation.
    pub(crate) norm: LayerNorm<B>,
    /// `[vocabulary]`
    pub(crate) bias: Param<Tensor<B, 1>>,
    #[module(skip)]
    activation: Activation,
}

impl<B: Backend> MaskedHead<B> {
    fn load(config: &EncoderConfig, weights: &mut Weights, device: &B::Device) -> Self {
        let bias = weights.take("cls.predictions.bias");
        Self {
            transform: Linear::load(&["cls.predictions.transform.dense"], config.hidden_size, weights, device),
            norm: LayerNorm::load("cls.predictions.transform.LayerNorm", config.layer_norm_eps, weights, device),
            bias: parameter(bias, [config.vocab_size], device),
            activation: config.activation,
        }
    }
}

impl<B: NerBackend> MaskedHead<B> {
    /// `[masked, hidden]` and the table of words `[vocabulary, hidden]` → `[masked, vocabulary]`
    pub(crate) fn forward(&self, hidden: Tensor<B, 2>, words: Tensor<B, 2>) -> Tensor<B, 2> {
        let transformed = self.norm.forward(activate(self.transform.forward(hidden), self.activation));
        linear(transformed, words.transpose(), self.bias.val())
    }
}

impl<B: Backend> MaskedLanguage<B> {
    /// Builds a model from its configuration and weights.
    pub(crate) fn load(config: &EncoderConfig, weights: &mut Weights, device: &B::Device) -> Self {
        Self { encoder: Encoder::load(config, weights, device), head: MaskedHead::load(config, weights, device) }
    }
}

impl<B: NerBackend> MaskedLanguage<B> {
    /// Computes the logits `[masked, vocabulary]` of these tokens, differentiably. The others are not decoded: their
    /// logits would take most of the memory.
    pub(crate) fn forward(&self, inputs: &Inputs<B>, masked: Tensor<B, 1, Int>) -> Tensor<B, 2> {
        let hidden = self.encoder.forward(inputs).select(0, masked);
        self.head.forward(hidden, self.encoder.embeddings.words.val())
    }
}
