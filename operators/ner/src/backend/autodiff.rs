//! Training: an encoder layer becomes one operation of the autodiff graph where the backend below computes its gradients
//! itself. Elsewhere the graph consists of the layer's plain operations.

use std::convert::Infallible;

use burn::backend::Autodiff;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, OpsPrep};
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
        bias: Option<&Tensor<Self, 2>>,
    ) -> Option<Tensor<Self, 2>> {
        let hidden = hidden.clone().into_primitive().tensor();
        let parameters = layer.parameters.each_ref();
        let values = parameters.map(|parameter| parameter.primitive.clone());
        let values = LayerTensors { settings: layer.settings, parameters: values };
        let bias = bias.map(|bias| bias.clone().into_primitive().tensor());
        let bias_values = bias.as_ref().map(|bias| bias.primitive.clone());
        let recorded = B::record_layer(values, hidden.primitive.clone(), sequences.bounds(), bias_values)?;
        let [a, b, c, d, e, f, g, h, i, j, k, l] = parameters.map(|parameter| parameter.node.clone());
        let output = match bias {
            None => finish(RecordedLayer.prepare::<C>([hidden.node, a, b, c, d, e, f, g, h, i, j, k, l]), recorded),
            Some(bias) => {
                let nodes = [hidden.node, a, b, c, d, e, f, g, h, i, j, k, l, bias.node];
                finish(RecordedLayer.prepare::<C>(nodes), recorded)
            }
        };
        Some(Tensor::from_primitive(TensorPrimitive::Float(output)))
    }

    fn layer_gradients(tape: Infallible, _: FloatTensor<Self>) -> LayerGradients<Self> {
        match tape {}
    }
}

/// The output of a recorded layer as a result of the graph.
fn finish<B: NerBackend, C: CheckpointStrategy, const N: usize>(
    prepared: OpsPrep<RecordedLayer, B, B::Tape, C, N>,
    (output, tape): (FloatTensor<B>, B::Tape),
) -> FloatTensor<Autodiff<B, C>> {
    match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(tape, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}

#[derive(Debug)]
struct RecordedLayer;

/// Parents are the input, the parameters and, if there is one, the bias.
impl<B: NerBackend, const N: usize> Backward<B, N> for RecordedLayer {
    type State = B::Tape;

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let LayerGradients { input_and_parameters, bias } = B::layer_gradients(ops.state, gradient);
        for (parent, gradient) in ops.parents.into_iter().zip(input_and_parameters.into_iter().chain(bias)) {
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
    use crate::config::Activation;
    use crate::model::{EncoderLayer, TokenClassification};
    use crate::random::normal;
    use crate::testing::fixture;

    type Train = Autodiff<Flex>;

    fn model(activation: Activation) -> TokenClassification<Train> {
        let (mut config, mut weights) = fixture("tiny-bert");
        (config.encoder.hidden_dropout, config.encoder.attention_dropout, config.encoder.activation) =
            (0.0, 0.0, activation);
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

    /// Output and all gradients of `Σ weights·layer(hidden)`, last that of the bias, if there is one.
    fn gradients(
        layer: &EncoderLayer<Train>,
        hidden: &Tensor<Flex, 2>,
        bias: Option<&Tensor<Flex, 2>>,
        weights: &Tensor<Flex, 2>,
        forward: impl Fn(Tensor<Train, 2>, Option<&Tensor<Train, 2>>) -> Tensor<Train, 2>,
    ) -> Vec<Vec<f32>> {
        let tracked = |tensor: &Tensor<Flex, 2>| Tensor::<Train, 2>::from_inner(tensor.clone()).require_grad();
        let (hidden, bias) = (tracked(hidden), bias.map(tracked));
        let output = forward(hidden.clone(), bias.as_ref());
        let gradients = (output.clone() * Tensor::from_inner(weights.clone())).sum().backward();
        let floats = |tensor: burn_flex::FlexTensor| {
            Tensor::<Flex, 1>::from_primitive(TensorPrimitive::Float(tensor)).into_data().to_vec::<f32>().unwrap()
        };
        let parameters = layer.tensors().parameters.map(|parameter| parameter.grad(&gradients).expect("a gradient"));
        let of = |tensor: &Tensor<Train, 2>| tensor.grad(&gradients).expect("a gradient").into_data().to_vec().unwrap();
        let output = output.inner().into_data().to_vec().unwrap();
        [output, of(&hidden)].into_iter().chain(parameters.map(floats)).chain(bias.as_ref().map(of)).collect()
    }

    #[test]
    fn a_recorded_layer_has_the_gradients_of_the_plain_one() {
        let model = model(Activation::Gelu);
        let (tokens, sequences) = sequences();
        let layer = &model.encoder.layers[1];
        let width = layer.attention_norm.weight.val().dims()[0];
        let (hidden, weights) = (random([tokens, width], 1), random([tokens, width], 2));
        // For sequences of up to 100 tokens, of which the longest has 96.
        let bias = random([layer.attention.heads, 199], 3);
        for bias in [None, Some(&bias)] {
            let plain =
                gradients(layer, &hidden, bias, &weights, |hidden, bias| layer.forward(hidden, &sequences, bias));
            let recorded = gradients(layer, &hidden, bias, &weights, |hidden, bias| {
                let recorded = Train::differentiable_layer(&layer.tensors(), &hidden, &sequences, bias);
                recorded.expect("the activation has a kernel")
            });
            assert_eq!((plain.len(), recorded.len()), (14 + usize::from(bias.is_some()), plain.len()));
            for (number, (plain, recorded)) in plain.iter().zip(&recorded).enumerate() {
                assert_eq!(plain.len(), recorded.len(), "tensor {number}");
                let size = plain.iter().map(|x| x.abs()).fold(0.0, f32::max);
                let worst = plain.iter().zip(recorded).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(size > 0.0 && worst <= 2e-5 * (1.0 + size), "tensor {number}: {worst:e} of {size:e}");
            }
        }
    }

    #[test]
    fn a_layer_whose_activation_has_no_kernel_is_not_recorded() {
        let model = model(Activation::Silu);
        let (tokens, sequences) = sequences();
        let hidden =
            Tensor::from_inner(random([tokens, model.encoder.layers[0].attention_norm.weight.val().dims()[0]], 1));
        let layer = model.encoder.layers[0].tensors();
        assert!(Train::differentiable_layer(&layer, &hidden, &sequences, None).is_none());
    }
}
