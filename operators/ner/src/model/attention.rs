//! Multi-head self-attention (Vaswani et al., 2017).

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use burn::tensor::backend::Backend;

use super::distance::of_pairs;
use super::parts::Linear;
use crate::backend::{NerBackend, product};
use crate::config::EncoderConfig;
use crate::packed::{PaddedView, Sequences};
use crate::weights::Weights;

/// What masked attention scores become. Its exponential is 0; unlike −∞, it does not give NaN in a row where everything is
/// masked, and it fits 16-bit floats.
const MASKED: f32 = -1e4;

/// Attention of each token to the tokens of its own sequence.
#[derive(Module, Debug)]
pub(crate) struct SelfAttention<B: Backend> {
    /// Queries, keys and values side by side: `[hidden, 3·hidden]`.
    pub(crate) query_key_value: Linear<B>,
    /// `[hidden, hidden]`
    pub(crate) output: Linear<B>,
    /// Dropout of attention probabilities, in training.
    pub(crate) dropout: Dropout,
    /// Heads; each has `hidden / heads` columns.
    pub(crate) heads: usize,
}

impl<B: Backend> SelfAttention<B> {
    pub(crate) fn load(config: &EncoderConfig, layer: usize, weights: &mut Weights, device: &B::Device) -> Self {
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
    ///
    /// Gathers the packed run into padded rows, attends within each row, and scatters the result back. `bias` is added to the
    /// scores by distance: `[heads, 2·longest − 1]`.
    pub(crate) fn forward(
        &self,
        hidden: Tensor<B, 2>,
        sequences: &Sequences<B>,
        bias: Option<&Tensor<B, 2>>,
    ) -> Tensor<B, 2> {
        let query_key_value = self.query_key_value.forward(hidden); // [T, 3·hidden]
        let padded = sequences.padded();
        let rows = padded.views.iter().map(|view| self.attend(query_key_value.clone(), view, bias)).collect();
        let attended = Tensor::cat(rows, 0).select(0, padded.scatter.clone()); // [T, hidden]
        self.output.forward(attended)
    }

    /// `[T, 3·hidden]` → `[rows·length, hidden]`
    fn attend(&self, query_key_value: Tensor<B, 2>, view: &PaddedView<B>, bias: Option<&Tensor<B, 2>>) -> Tensor<B, 2> {
        let (rows, length, heads) = (view.rows, view.length, self.heads);
        let hidden = query_key_value.dims()[1] / 3;
        let split = query_key_value
            .select(0, view.gather.clone()) // [rows·length, 3·hidden]
            .reshape([rows, length, 3, heads, hidden / heads])
            .permute([2, 0, 3, 1, 4]); // [3, rows, heads, length, columns]
        let part = |number| split.clone().narrow(0, number, 1).squeeze_dim::<4>(0);
        let bias = bias.map(|bias| of_pairs(bias, length));
        masked_attention([part(0), part(1), part(2)], bias, view, &self.dropout)
            .swap_dims(1, 2)
            .reshape([rows * length, hidden])
    }
}

/// `softmax(Q·Kᵀ / √columns + bias)·V`, all of `[rows, heads, length, columns]`. Keys at the view's empty positions are ignored.
/// Holds all scores in memory.
fn masked_attention<B: NerBackend>(
    [query, key, value]: [Tensor<B, 4>; 3],
    bias: Option<Tensor<B, 4>>,
    view: &PaddedView<B>,
    dropout: &Dropout,
) -> Tensor<B, 4> {
    let [rows, heads, length, columns] = query.dims();
    let scores = product(query.mul_scalar(1.0 / (columns as f64).sqrt()), key.swap_dims(2, 3));
    let scores = match bias {
        Some(bias) => scores + bias,
        None => scores,
    };
    let empty = view.empty.clone().expand([rows, heads, length, length]);
    product(dropout.forward(softmax(scores.mask_fill(empty, MASKED), 3)), value)
}
