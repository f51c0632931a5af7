//! A whole encoder on the kernels: weights packed once, one pass over memory between two residual sums.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorMetadata, TensorPrimitive};
use burn_flex::Flex;

use super::host::{boundaries, contiguous, kernel_activation};
use crate::backend::{FusedEncoder, LayerParameters, LayerTensors};
use crate::kernels::{
    Encoder, EncoderConfig, Isa, LayerWeights, Layout, LinearWeights, NormWeights, Precision, Scratch,
};
use crate::packed::Sequences;

/// An encoder whose weights the kernels have packed.
pub(super) struct KernelEncoder {
    encoder: Arc<Encoder>,
    /// Kept from one micro-batch to the next.
    scratch: Scratch,
}

impl KernelEncoder {
    /// Packs an encoder for the best instructions of this processor; `None` if no kernel has its activation.
    pub(super) fn new(layers: &[LayerTensors<Flex>], precision: Precision) -> Option<Self> {
        let first = layers.first()?.settings;
        let config = EncoderConfig {
            heads: first.heads,
            activation: kernel_activation(first.activation)?,
            layer_norm_epsilon: first.epsilon[0] as f32,
            precision,
        };
        let parameters: Vec<_> = layers.iter().map(|layer| layer.parameters.clone().map(contiguous)).collect();
        let weights: Vec<LayerWeights<'_>> = parameters.iter().map(weights).collect();
        let encoder = Encoder::new(Isa::detect(), &config, &weights)
            .expect("shapes follow from one checked configuration, and the precision was checked");
        Some(Self { encoder: Arc::new(encoder), scratch: Scratch::new() })
    }
}

impl FusedEncoder<Flex> for KernelEncoder {
    fn forward(&mut self, hidden: Tensor<Flex, 2>, sequences: &Sequences<Flex>) -> Tensor<Flex, 2> {
        let mut hidden = contiguous(hidden.into_primitive().tensor());
        let boundaries = boundaries(sequences.bounds(), hidden.shape()[0]);
        self.encoder
            .forward(hidden.storage_mut(), &boundaries, &mut self.scratch)
            .expect("sequences are consecutive, and rows are as wide as the layers");
        Tensor::from_primitive(TensorPrimitive::Float(hidden))
    }

    fn for_another_thread(&self) -> Box<dyn FusedEncoder<Flex>> {
        Box::new(Self { encoder: self.encoder.clone(), scratch: Scratch::new() })
    }
}

/// A layer's parameters as the kernels take them.
fn weights(parameters: &LayerParameters<Flex>) -> LayerWeights<'_> {
    let values = parameters.each_ref().map(|parameter| parameter.storage::<f32>());
    let linear = |at: usize| {
        let [weight, bias] = [values[at], values[at + 1]];
        LinearWeights { weight, layout: Layout::InOut, bias, inputs: weight.len() / bias.len() }
    };
    let norm = |at: usize| NormWeights { gamma: values[at], beta: values[at + 1] };
    LayerWeights {
        query_key_value: linear(0),
        attention_output: linear(2),
        attention_norm: norm(4),
        up: linear(6),
        down: linear(8),
        output_norm: norm(10),
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use burn_flex::FlexDevice;

    use super::*;
    use crate::Checkpoint;
    use crate::host::floats;
    use crate::model::{EncoderLayer, TokenClassification};
    use crate::random::normal;
    use crate::shapes::Shapes;

    #[test]
    fn the_kernels_compute_what_the_plain_layer_computes() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/tiny-bert");
        let checkpoint = Checkpoint::open(directory).unwrap();
        let mut weights = checkpoint.read_weights().unwrap();
        let model = TokenClassification::<Flex>::load(checkpoint.config(), &mut weights, &FlexDevice);
        for lengths in [&[1][..], &[64], &[3, 1, 40, 17, 64, 2]] {
            let mut tokens = 0;
            let bounds: Vec<_> = lengths
                .iter()
                .map(|length| {
                    tokens += length;
                    tokens - length..tokens
                })
                .collect();
            let [exact, listed] = [Shapes::Exact, Shapes::Listed]
                .map(|shapes| Sequences::<Flex>::new(bounds.clone(), tokens, shapes, &FlexDevice));
            let width = checkpoint.config().encoder.hidden_size;
            let hidden = TensorData::new(normal(tokens * width, 1.0, 1), [tokens, width]);
            let hidden = Tensor::from_data(hidden, &FlexDevice);
            for layer in model.encoder.layers.chunks(1) {
                let [plain, in_blocks] =
                    [&exact, &listed].map(|sequences| floats(layer[0].forward(hidden.clone(), sequences)));
                let tensors: Vec<_> = layer.iter().map(EncoderLayer::tensors).collect();
                let mut fused = KernelEncoder::new(&tensors, Precision::F32).unwrap();
                let fused = floats(fused.forward(hidden.clone(), &exact));
                for other in [&fused, &in_blocks] {
                    let worst = plain.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    assert!(worst < 2e-5, "{lengths:?}: {worst:e}");
                }
            }
        }
    }
}
