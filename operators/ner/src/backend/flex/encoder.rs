//! A whole encoder on the kernels: weights packed once, one pass over memory between two residual sums.

use std::sync::Arc;

use burn::tensor::{Int, Shape, Tensor, TensorMetadata, TensorPrimitive};
use burn_flex::{Flex, FlexTensor};

use super::host::{boundaries, contiguous, kernel_activation, tensor};
use crate::backend::{EmbeddingTensors, EncoderTensors, FusedEncoder, LayerParameters, Pair};
use crate::kernels::{
    Buffer, EmbeddingWeights, Embeddings, Encoder, EncoderConfig, Epilogue, Isa, KernelError, LayerWeights, Layout,
    LinearWeights, NormWeights, PackedLinear, Precision, Scratch,
};
use crate::packed::Sequences;

/// An encoder whose weights the kernels have packed.
pub(super) struct KernelEncoder {
    packed: Arc<Packed>,
    /// `[T, hidden]` of the largest micro-batch so far.
    hidden: Buffer,
    /// Kept from one micro-batch to the next.
    scratch: Scratch,
}

struct Packed {
    embeddings: Embeddings<Table>,
    encoder: Encoder,
    /// In f32: it is small.
    head: Option<PackedLinear>,
}

/// A tensor whose values are used where they are.
struct Table(FlexTensor);

impl AsRef<[f32]> for Table {
    fn as_ref(&self) -> &[f32] {
        self.0.storage()
    }
}

impl KernelEncoder {
    /// Packs an encoder for the best instructions of this processor; `None` if no kernel has its activation.
    pub(super) fn new(tensors: &EncoderTensors<Flex>, precision: Precision) -> Option<Self> {
        let first = tensors.layers.first()?.settings;
        let config = EncoderConfig {
            heads: first.heads,
            activation: kernel_activation(first.activation)?,
            layer_norm_epsilon: first.epsilon[0] as f32,
            precision,
        };
        let isa = Isa::detect();
        let parameters: Vec<_> = tensors.layers.iter().map(|layer| layer.parameters.clone().map(contiguous)).collect();
        let layers: Vec<LayerWeights<'_>> = parameters.iter().map(layer_weights).collect();
        let head = tensors.head.clone().map(|head| head.map(contiguous));
        let pack =
            |head: &Pair<Flex>| PackedLinear::new(isa, Precision::F32, &linear_weights(head.each_ref())).expect(FITS);
        let encoder = Encoder::new(isa, &config, &layers).expect(FITS);
        let packed = Packed {
            embeddings: embeddings(isa, &tensors.embeddings),
            encoder: match tensors.bias.clone().map(contiguous) {
                Some(bias) => encoder.with_bias(bias.storage::<f32>().to_vec()).expect(FITS),
                None => encoder,
            },
            head: head.as_ref().map(pack),
        };
        Some(Self::of(Arc::new(packed)))
    }

    fn of(packed: Arc<Packed>) -> Self {
        Self { packed, hidden: Buffer::default(), scratch: Scratch::new() }
    }
}

/// Why packing cannot fail.
const FITS: &str = "shapes follow from one checked configuration, and the precision was checked";

impl FusedEncoder<Flex> for KernelEncoder {
    fn forward(
        &mut self,
        ids: Tensor<Flex, 1, Int>,
        positions: Tensor<Flex, 1, Int>,
        sequences: &Sequences<Flex>,
        scored: &[u32],
    ) -> Tensor<Flex, 2> {
        let Self { packed, hidden, scratch } = self;
        let [ids, positions] = [ids, positions].map(|numbers| contiguous(numbers.into_primitive()));
        let tokens = ids.shape()[0];
        let hidden = hidden.floats(tokens * packed.embeddings.hidden());
        let boundaries = boundaries(sequences.bounds(), tokens);
        let output = packed
            .embeddings
            .forward(ids.storage(), positions.storage(), hidden, scratch)
            .and_then(|()| packed.encoder.forward_rows(hidden, &boundaries, scored, scratch))
            .and_then(|()| packed.output(hidden, scored, tokens, scratch))
            .expect(
                "ids and positions are in the tables, sequences are consecutive, and rows are as wide as the layers",
            );
        let width = output.len() / tokens.max(1);
        Tensor::from_primitive(TensorPrimitive::Float(tensor(output, Shape::new([tokens, width]))))
    }

    fn for_another_thread(&self) -> Box<dyn FusedEncoder<Flex>> {
        Box::new(Self::of(self.packed.clone()))
    }
}

impl Packed {
    /// What comes after the last layer, of whose output `hidden` begins with the rows of `scored`. Other rows are 0.
    fn output(
        &self,
        hidden: &[f32],
        scored: &[u32],
        tokens: usize,
        scratch: &mut Scratch,
    ) -> Result<Vec<f32>, KernelError> {
        let hidden = &hidden[..scored.len() * self.embeddings.hidden()];
        let width = self.head.as_ref().map_or(self.embeddings.hidden(), PackedLinear::outputs);
        let mut output = vec![0.0; tokens * width];
        match &self.head {
            Some(head) => head.forward(hidden, Epilogue::Bias, &mut output[..scored.len() * width], scratch)?,
            None => output[..hidden.len()].copy_from_slice(hidden),
        }
        // From the last, so that no row is overwritten before it is moved.
        for (from, to) in scored.iter().map(|row| *row as usize).enumerate().rev().filter(|(from, to)| from != to) {
            output.copy_within(from * width..(from + 1) * width, to * width);
            output[from * width..(from + 1) * width].fill(0.0);
        }
        Ok(output)
    }
}

/// Embeddings as the kernels take them. The table of words is shared, not copied.
fn embeddings(isa: Isa, tensors: &EmbeddingTensors<Flex>) -> Embeddings<Table> {
    let [words, positions] = [&tensors.words, &tensors.positions].map(|table| contiguous(table.clone()));
    let token_types = tensors.token_types.clone().map(contiguous);
    let norm = tensors.norm.clone().map(contiguous);
    let projection = tensors.projection.clone().map(|projection| projection.map(contiguous));
    let [gamma, beta] = norm.each_ref().map(|values| values.storage::<f32>());
    let weights = EmbeddingWeights {
        positions: positions.storage(),
        token_type: token_types.as_ref().map(|types| &types.storage::<f32>()[..gamma.len()]),
        norm: NormWeights { gamma, beta },
        epsilon: tensors.epsilon as f32,
        projection: projection.as_ref().map(|projection| linear_weights(projection.each_ref())),
    };
    Embeddings::new(isa, Table(words), &weights).expect(FITS)
}

/// A linear layer as the kernels take it.
fn linear_weights([weight, bias]: [&FlexTensor; 2]) -> LinearWeights<'_> {
    let [weight, bias] = [weight, bias].map(FlexTensor::storage::<f32>);
    LinearWeights { weight, layout: Layout::InOut, bias, inputs: weight.len() / bias.len() }
}

/// A layer's parameters as the kernels take them.
fn layer_weights(parameters: &LayerParameters<Flex>) -> LayerWeights<'_> {
    let values = parameters.each_ref().map(|parameter| parameter.storage::<f32>());
    let linear = |at: usize| linear_weights([&parameters[at], &parameters[at + 1]]);
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
    use burn_flex::FlexDevice;

    use super::*;
    use crate::host::floats;
    use crate::model::{Inputs, PreparedEncoder, TokenClassification};
    use crate::packed::MicroBatch;
    use crate::shapes::Shapes;
    use crate::testing::fixture;

    #[test]
    fn the_kernels_compute_what_plain_operations_compute() {
        let models = ["tiny-bert", "tiny-mpnet"].map(|name| {
            let (config, mut weights) = fixture(name);
            TokenClassification::<Flex>::load(&config, &mut weights, &FlexDevice)
        });
        let lengths = [&[1][..], &[64], &[3, 1, 40, 17, 64, 2]];
        for (model, lengths) in models.iter().flat_map(|model| lengths.map(|lengths| (model, lengths))) {
            let mut batch = MicroBatch::default();
            lengths.iter().for_each(|&length| batch.push(&(0..length).map(|at| at * 7 % 100).collect::<Vec<_>>()));
            let [exact, listed] =
                [Shapes::Exact, Shapes::Listed].map(|shapes| Inputs::new(&batch, 0, shapes, &FlexDevice));
            for head in [None, Some(model.classifier.clone())] {
                let encoder = model.encoder.clone();
                let mut fused = encoder.clone().prepare(head.clone(), Precision::F32);
                assert!(matches!(fused, PreparedEncoder::Fused(_)));
                let mut plain = PreparedEncoder::Plain(Box::new((encoder, head)));
                let expected = floats(plain.forward(&exact));
                for found in [floats(fused.forward(&exact)), floats(plain.forward(&listed))] {
                    assert!(!expected.is_empty() && found.len() >= expected.len());
                    let worst = expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    assert!(worst < 5e-5, "{lengths:?}: {worst:e}");
                }

                let scores = |token: usize| token % 3 == 1 || token == 5;
                let mut some = MicroBatch::default();
                for sequence in batch.sequences() {
                    some.push_scored(&batch.ids()[sequence.clone()], sequence.map(scores));
                }
                let all = floats(fused.forward(&exact));
                let found = floats(fused.forward(&Inputs::new(&some, 0, Shapes::Exact, &FlexDevice)));
                let width = all.len() / batch.token_count();
                for (token, (row, expected)) in found.chunks(width).zip(all.chunks(width)).enumerate() {
                    let expected = if scores(token) { expected } else { &vec![0.0; width] };
                    assert_eq!(row, expected, "{lengths:?}, token {token}");
                }
            }
        }
    }
}
