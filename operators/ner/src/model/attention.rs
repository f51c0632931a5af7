//! Multi-head self-attention (Vaswani et al., 2017).

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::parts::Linear;
use crate::backend::NerBackend;
use crate::config::ModelConfig;
use crate::packed::Sequences;
use crate::weights::Weights;

/// Every token looks at the tokens of its own sequence.
#[derive(Module, Debug)]
pub struct SelfAttention<B: Backend> {
    /// Queries, keys and values side by side: `[hidden, 3·hidden]`.
    pub query_key_value: Linear<B>,
    /// `[hidden, hidden]`
    pub output: Linear<B>,
    /// Of the attention probabilities, while training.
    pub dropout: Dropout,
    /// Heads; each has `hidden / heads` columns.
    pub heads: usize,
}

impl<B: Backend> SelfAttention<B> {
    pub(crate) fn load(config: &ModelConfig, layer: usize, weights: &mut Weights, device: &B::Device) -> Self {
        let name = |module: &str| format!("encoder.layer.{layer}.attention.{module}");
        let (query, key, value) = (name("self.query"), name("self.key"), name("self.value"));
        Self {
            query_key_value: Linear::load(&[&query, &key, &value], config.hidden_size, weights, device),
            output: Linear::load(&[&name("output.dense")], config.hidden_size, weights, device),
            dropout: DropoutConfig::new(config.attention_dropout).init(),
            heads: config.heads,
        }
    }
}

impl<B: NerBackend> SelfAttention<B> {
    /// `[T, hidden]` → `[T, hidden]`
    pub fn forward(&self, hidden: Tensor<B, 2>, sequences: &Sequences<B>) -> Tensor<B, 2> {
        let query_key_value = self.query_key_value.forward(hidden); // [T, 3·hidden]
        let attended = B::packed_attention(query_key_value, sequences, self.heads, &self.dropout); // [T, hidden]
        self.output.forward(attended)
    }
}
