//! The encoder on the CPU kernels: weights packed once, everything between two residual sums in one pass.

use std::fmt;
use std::ops::Range;

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use crate::config::Activation;
use crate::kernels::{
    self, Encoder, EncoderConfig, Isa, LayerWeights, Layout, LinearWeights, NormWeights, Precision, Scratch,
};
use crate::model::{self, EncoderLayer, LayerNorm};
use crate::packed::Sequences;

/// An encoder whose weights the kernels have packed.
pub struct FusedEncoder(Encoder);

impl FusedEncoder {
    /// Packs an encoder for the best instructions of this processor; `None` if no kernel has its activation.
    pub fn new<B: Backend>(layers: &[EncoderLayer<B>], precision: Precision) -> Option<Self> {
        let first = layers.first()?;
        let config = EncoderConfig {
            heads: first.attention.heads,
            activation: kernel_activation(first.activation)?,
            layer_norm_epsilon: first.attention_norm.eps as f32,
            precision,
        };
        let parameters: Vec<Parameters> = layers.iter().map(Parameters::of).collect();
        let weights: Vec<LayerWeights<'_>> = parameters.iter().map(Parameters::weights).collect();
        let packed = Encoder::new(Isa::detect(), &config, &weights);
        Some(Self(packed.expect("shapes follow from one checked configuration, and the precision was probed")))
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
            .expect("sequences lie end to end in the run, and its rows are as wide as the layers");
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

impl fmt::Debug for FusedEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FusedEncoder").field("layers", &self.0.layers().len()).finish_non_exhaustive()
    }
}

/// A layer's parameters on the host.
struct Parameters {
    query_key_value: Linear,
    attention_output: Linear,
    up: Linear,
    down: Linear,
    attention_norm: Norm,
    output_norm: Norm,
}

/// A linear layer's weight `[in, out]` and bias.
type Linear = [Vec<f32>; 2];
/// A LayerNorm's scale and shift.
type Norm = [Vec<f32>; 2];

impl Parameters {
    fn of<B: Backend>(layer: &EncoderLayer<B>) -> Self {
        let linear = |of: &model::Linear<B>| [floats(of.weight.val()), floats(of.bias.val())];
        let norm = |of: &LayerNorm<B>| [floats(of.weight.val()), floats(of.bias.val())];
        Self {
            query_key_value: linear(&layer.attention.query_key_value),
            attention_output: linear(&layer.attention.output),
            up: linear(&layer.intermediate),
            down: linear(&layer.output),
            attention_norm: norm(&layer.attention_norm),
            output_norm: norm(&layer.output_norm),
        }
    }

    fn weights(&self) -> LayerWeights<'_> {
        fn linear([weight, bias]: &Linear) -> LinearWeights<'_> {
            LinearWeights { weight, layout: Layout::InOut, bias, inputs: weight.len() / bias.len() }
        }
        fn norm([gamma, beta]: &Norm) -> NormWeights<'_> {
            NormWeights { gamma, beta }
        }
        LayerWeights {
            query_key_value: linear(&self.query_key_value),
            attention_output: linear(&self.attention_output),
            attention_norm: norm(&self.attention_norm),
            up: linear(&self.up),
            down: linear(&self.down),
            output_norm: norm(&self.output_norm),
        }
    }
}

/// A tensor's values on the host.
pub(crate) fn floats<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().into_vec().expect("just converted to f32")
}

#[cfg(test)]
mod tests {
    use burn_flex::{Flex, FlexDevice};

    use super::*;
    use crate::random::normal;
    use crate::shapes::Shapes;
    use crate::{Checkpoint, TokenClassification};

    #[test]
    fn the_kernels_compute_what_the_plain_layer_computes() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/tiny-bert");
        let checkpoint = Checkpoint::open(directory).unwrap();
        let mut weights = checkpoint.read_weights().unwrap();
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
            let [exact, listed] = [Shapes::Exact, Shapes::Listed]
                .map(|shapes| Sequences::<Flex>::new(bounds.clone(), tokens, shapes, &FlexDevice));
            let width = checkpoint.config().hidden_size;
            let hidden = TensorData::new(normal(tokens * width, 1.0, 1), [tokens, width]);
            let hidden = Tensor::from_data(hidden, &FlexDevice);
            for layer in model.layers.chunks(1) {
                let [plain, in_blocks] =
                    [&exact, &listed].map(|sequences| floats(layer[0].forward(hidden.clone(), sequences)));
                let fused = FusedEncoder::new(layer, Precision::F32).unwrap();
                let fused = floats(fused.forward(hidden.clone(), &exact, &mut scratch));
                for other in [&fused, &in_blocks] {
                    let worst = plain.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    assert!(worst < 2e-5, "{lengths:?}: {worst:e}");
                }
            }
        }
    }
}
