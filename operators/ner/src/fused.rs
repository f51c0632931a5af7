//! An encoder layer on the CPU kernels: weights packed once, everything between two residual sums in one pass.

use std::fmt;
use std::ops::Range;

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use crate::config::Activation;
use crate::kernels::{self, EncoderConfig, Isa, LayerWeights, Layout, LinearWeights, NormWeights, Precision, Scratch};
use crate::model::{EncoderLayer, LayerNorm, Linear};
use crate::packed::Sequences;

/// A layer whose weights the kernels have packed.
pub struct FusedLayer(kernels::EncoderLayer);

impl FusedLayer {
    /// Packs a layer for the best instructions of this processor; `None` if no kernel has its activation.
    pub fn new<B: Backend>(layer: &EncoderLayer<B>) -> Option<Self> {
        let config = EncoderConfig {
            heads: layer.attention.heads,
            activation: kernel_activation(layer.activation)?,
            layer_norm_epsilon: layer.attention_norm.eps as f32,
            precision: Precision::F32,
        };
        let query_key_value = Matrix::of(&layer.attention.query_key_value);
        let [query, key, value] = [0, 1, 2].map(|part| query_key_value.part(part, 3));
        let (attended, up, down) =
            (Matrix::of(&layer.attention.output), Matrix::of(&layer.intermediate), Matrix::of(&layer.output));
        let (attention_norm, output_norm) = (Norm::of(&layer.attention_norm), Norm::of(&layer.output_norm));
        let weights = LayerWeights {
            query,
            key,
            value,
            attention_output: attended.part(0, 1),
            attention_norm: attention_norm.weights(),
            up: up.part(0, 1),
            down: down.part(0, 1),
            output_norm: output_norm.weights(),
        };
        let packed = kernels::EncoderLayer::new(Isa::detect(), &config, &weights);
        Some(Self(packed.expect("the shapes of a layer follow from one checked configuration")))
    }

    /// `[T, hidden]` → `[T, hidden]`
    pub fn forward<B: Backend>(
        &self,
        hidden: Tensor<B, 2>,
        sequences: &Sequences<B>,
        scratch: &mut Scratch,
    ) -> Tensor<B, 2> {
        let (shape, device) = (hidden.shape(), hidden.device());
        let mut values = floats(hidden);
        let boundaries = boundaries(sequences.bounds(), shape[0]);
        self.0
            .forward(&mut values, &boundaries, scratch)
            .expect("sequences lie end to end in the run, and its rows are as wide as the layer");
        Tensor::from_data(TensorData::new(values, shape), &device)
    }
}

/// The kernels' activation, if they have it.
pub(crate) fn kernel_activation(activation: Activation) -> Option<kernels::Activation> {
    match activation {
        Activation::Gelu => Some(kernels::Activation::Gelu),
        Activation::GeluTanh => Some(kernels::Activation::GeluTanh),
        Activation::Relu => Some(kernels::Activation::Relu),
        Activation::Silu => None,
    }
}

/// Where sequences begin and the last one ends. What a fixed shape adds behind them is a sequence of its own.
pub(crate) fn boundaries(sequences: &[Range<usize>], tokens: usize) -> Vec<u32> {
    let ends = sequences.iter().map(|sequence| sequence.end);
    let padding = sequences.last().is_none_or(|last| last.end < tokens).then_some(tokens);
    std::iter::once(0)
        .chain(ends)
        .chain(padding)
        .map(|end| u32::try_from(end).expect("a micro-batch is bounded by its token budget, far below 2³²"))
        .collect()
}

impl fmt::Debug for FusedLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FusedLayer").field("hidden", &self.0.hidden()).finish_non_exhaustive()
    }
}

/// A linear layer's parameters on the host.
struct Matrix {
    /// `[out, in]`, so that modules that stand side by side are whole runs of rows.
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Matrix {
    fn of<B: Backend>(linear: &Linear<B>) -> Self {
        Self { weight: floats(linear.weight.val().transpose()), bias: floats(linear.bias.val()) }
    }

    /// One of the modules that stand side by side.
    fn part(&self, number: usize, of: usize) -> LinearWeights<'_> {
        let (values, outputs) = (self.weight.len() / of, self.bias.len() / of);
        LinearWeights {
            weight: &self.weight[number * values..][..values],
            layout: Layout::OutIn,
            bias: &self.bias[number * outputs..][..outputs],
            inputs: values / outputs,
        }
    }
}

/// A LayerNorm's parameters on the host.
struct Norm {
    gamma: Vec<f32>,
    beta: Vec<f32>,
}

impl Norm {
    fn of<B: Backend>(norm: &LayerNorm<B>) -> Self {
        Self { gamma: floats(norm.weight.val()), beta: floats(norm.bias.val()) }
    }

    fn weights(&self) -> NormWeights<'_> {
        NormWeights { gamma: &self.gamma, beta: &self.beta }
    }
}

/// A tensor's values on the host.
pub(crate) fn floats<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().into_vec().expect("just converted to f32")
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;
    use burn_flex::{Flex, FlexDevice};

    use super::*;
    use crate::shapes::Shapes;
    use crate::weights::Weights;
    use crate::{Checkpoint, TokenClassification};

    #[test]
    fn the_kernels_compute_what_the_plain_layer_computes() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/tiny-bert");
        let checkpoint = Checkpoint::open(directory).unwrap();
        let mut weights = Weights::read(&checkpoint.weights(), checkpoint.config()).unwrap();
        let model = TokenClassification::<Flex>::load(checkpoint.config(), &mut weights, &FlexDevice);
        let mut scratch = Scratch::new();
        for lengths in [&[1][..], &[64], &[3, 1, 40, 17, 64, 2]] {
            let bounds: Vec<_> = lengths
                .iter()
                .scan(0, |end, length| {
                    Some((*end, {
                        *end += length;
                        *end
                    }))
                })
                .collect();
            let bounds: Vec<_> = bounds.into_iter().map(|(start, end)| start..end).collect();
            let tokens = bounds.last().unwrap().end;
            let sequences = Sequences::<Flex>::new(bounds, tokens, Shapes::Exact, &FlexDevice);
            let hidden =
                Tensor::random([tokens, checkpoint.config().hidden_size], Distribution::Normal(0.0, 1.0), &FlexDevice);
            for layer in &model.layers {
                let plain = floats(layer.forward(hidden.clone(), &sequences));
                let fused = floats(FusedLayer::new(layer).unwrap().forward(hidden.clone(), &sequences, &mut scratch));
                let worst = plain.iter().zip(&fused).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst < 2e-5, "{lengths:?}: {worst:e}");
            }
        }
    }
}
