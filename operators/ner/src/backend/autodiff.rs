//! Training: an encoder layer becomes one operation of the autodiff graph where the backend below computes its gradients
//! itself. Elsewhere the graph consists of the layer's plain operations.

use std::convert::Infallible;

use burn::backend::Autodiff;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorPrimitive};

use super::{LayerGradients, LayerTensors, NerBackend};
use crate::packed::Sequences;
use crate::shapes::Shapes;

/// The backend that trains on another one.
pub(crate) type Training<B> = Autodiff<B>;

impl<B: NerBackend, C: CheckpointStrategy> NerBackend for Autodiff<B, C> {
    type Tape = Infallible;
    const SHAPES: Shapes = B::SHAPES;
    const MATRIX_STEP: usize = B::MATRIX_STEP;

    fn differentiable_layer(
        layer: &LayerTensors<Self>,
        hidden: &Tensor<Self, 2>,
        sequences: &Sequences<Self>,
    ) -> Option<Tensor<Self, 2>> {
        let hidden = hidden.clone().into_primitive().tensor();
        let parameters = layer.parameters.each_ref();
        let values = parameters.map(|parameter| parameter.primitive.clone());
        let values = LayerTensors { settings: layer.settings, parameters: values };
        let (output, tape) = B::record_layer(values, hidden.primitive.clone(), sequences.bounds())?;
        let [a, b, c, d, e, f, g, h, i, j, k, l] = parameters.map(|parameter| parameter.node.clone());
        let nodes = [hidden.node, a, b, c, d, e, f, g, h, i, j, k, l];
        let output = match RecordedLayer.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(tape, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        };
        Some(Tensor::from_primitive(TensorPrimitive::Float(output)))
    }

    fn layer_gradients(tape: Infallible, _: FloatTensor<Self>) -> LayerGradients<Self> {
        match tape {}
    }
}

#[derive(Debug)]
struct RecordedLayer;

impl<B: NerBackend> Backward<B, 13> for RecordedLayer {
    type State = B::Tape;

    fn backward(self, ops: Ops<Self::State, 13>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        for (parent, gradient) in ops.parents.into_iter().zip(B::layer_gradients(ops.state, gradient)) {
            if let Some(node) = parent {
                let id: NodeId = node.id;
                gradients.register::<B>(id, gradient);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use burn_flex::{Flex, FlexDevice};

    use super::*;
    use crate::Checkpoint;
    use crate::config::Activation;
    use crate::model::{EncoderLayer, TokenClassification};
    use crate::random::normal;

    type Train = Autodiff<Flex>;

    fn model(activation: Activation) -> TokenClassification<Train> {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/tiny-bert");
        let checkpoint = Checkpoint::open(directory).unwrap();
        let mut config = checkpoint.config().clone();
        (config.encoder.hidden_dropout, config.encoder.attention_dropout, config.encoder.activation) =
            (0.0, 0.0, activation);
        let mut weights = checkpoint.read_weights().unwrap();
        TokenClassification::load(&config, &mut weights, &FlexDevice)
    }

    /// The same numbers each time: the backend's own generator is shared with the tests that run beside this one.
    fn random(shape: [usize; 2], seed: u64) -> Tensor<Flex, 2> {
        Tensor::from_data(TensorData::new(normal(shape[0] * shape[1], 1.0, seed), shape), &FlexDevice)
    }

    fn sequences() -> (usize, Sequences<Train>) {
        let bounds = vec![0..1, 1..41, 41..44, 44..140];
        (140, Sequences::new(bounds, 140, Shapes::Exact, &FlexDevice))
    }

    /// Output and all gradients of `Σ weights·layer(hidden)`.
    fn gradients(
        layer: &EncoderLayer<Train>,
        hidden: &Tensor<Flex, 2>,
        weights: &Tensor<Flex, 2>,
        forward: impl Fn(&EncoderLayer<Train>, Tensor<Train, 2>) -> Tensor<Train, 2>,
    ) -> Vec<Vec<f32>> {
        let hidden = Tensor::<Train, 2>::from_inner(hidden.clone()).require_grad();
        let output = forward(layer, hidden.clone());
        let gradients = (output.clone() * Tensor::from_inner(weights.clone())).sum().backward();
        let floats = |tensor: burn_flex::FlexTensor| {
            Tensor::<Flex, 1>::from_primitive(TensorPrimitive::Float(tensor)).into_data().to_vec::<f32>().unwrap()
        };
        let parameters = layer.tensors().parameters.map(|parameter| parameter.grad(&gradients).expect("a gradient"));
        let input = hidden.grad(&gradients).expect("a gradient").into_data().to_vec().unwrap();
        [output.inner().into_data().to_vec().unwrap(), input].into_iter().chain(parameters.map(floats)).collect()
    }

    #[test]
    fn a_recorded_layer_has_the_gradients_of_the_plain_one() {
        let model = model(Activation::Gelu);
        let (tokens, sequences) = sequences();
        let layer = &model.encoder.layers[1];
        let width = layer.attention_norm.weight.val().dims()[0];
        let (hidden, weights) = (random([tokens, width], 1), random([tokens, width], 2));
        let plain = gradients(layer, &hidden, &weights, |layer, hidden| layer.forward(hidden, &sequences));
        let recorded = gradients(layer, &hidden, &weights, |layer, hidden| {
            Train::differentiable_layer(&layer.tensors(), &hidden, &sequences).expect("the activation has a kernel")
        });
        for (number, (plain, recorded)) in plain.iter().zip(&recorded).enumerate() {
            assert_eq!(plain.len(), recorded.len(), "tensor {number}");
            let size = plain.iter().map(|x| x.abs()).fold(0.0, f32::max);
            let worst = plain.iter().zip(recorded).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst <= 2e-5 * (1.0 + size), "tensor {number}: {worst:e} of {size:e}");
        }
    }

    #[test]
    fn a_layer_whose_activation_has_no_kernel_is_not_recorded() {
        let model = model(Activation::Silu);
        let (tokens, sequences) = sequences();
        let hidden =
            Tensor::from_inner(random([tokens, model.encoder.layers[0].attention_norm.weight.val().dims()[0]], 1));
        assert!(Train::differentiable_layer(&model.encoder.layers[0].tensors(), &hidden, &sequences).is_none());
    }
}
