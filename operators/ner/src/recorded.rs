//! An encoder layer under training as one operation of the autodiff graph, where the backend can compute its gradients
//! itself; otherwise the graph is of the layer's plain operations.

use burn::backend::Autodiff;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Distribution, Tensor, TensorPrimitive};

use crate::backend::NerBackend;
use crate::config::Activation;
use crate::model::EncoderLayer;
use crate::packed::Sequences;

/// A layer's parameters, in the order of its modules: weight and bias of query, key and value, of the attention output,
/// γ and β, weight and bias of both feed-forward products, γ and β.
pub type LayerParameters<B> = [FloatTensor<B>; 12];

/// What decides a layer's result beside its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerSettings {
    /// Of the attention.
    pub heads: usize,
    /// Between the feed-forward products.
    pub activation: Activation,
    /// Added to the variances of the two norms, in order.
    pub epsilon: [f64; 2],
    /// The share of hidden states dropped before each residual sum.
    pub hidden_dropout: f64,
    /// The share of attention probabilities dropped.
    pub attention_dropout: f64,
    /// Of this layer's and step's random numbers.
    pub seed: u64,
}

/// Runs a layer as one operation; `None` if the backend has none.
pub(crate) fn forward<B: NerBackend, C: CheckpointStrategy>(
    layer: &EncoderLayer<Autodiff<B, C>>,
    hidden: &Tensor<Autodiff<B, C>, 2>,
    sequences: &Sequences<Autodiff<B, C>>,
) -> Option<Tensor<Autodiff<B, C>, 2>> {
    if !B::records(layer.activation) {
        return None;
    }
    let settings = layer.settings(seed::<B>(&hidden.device()));
    let parameters = layer.parameters();
    let hidden = hidden.clone().into_primitive().tensor();
    let values = parameters.each_ref().map(|parameter| parameter.primitive.clone());
    let (output, tape) = B::record_layer(settings, values, hidden.primitive.clone(), sequences.bounds());
    let [a, b, c, d, e, f, g, h, i, j, k, l] = parameters.map(|parameter| parameter.node);
    let nodes = [hidden.node, a, b, c, d, e, f, g, h, i, j, k, l];
    let output = match RecordedLayer.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(tape, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    };
    Some(Tensor::from_primitive(TensorPrimitive::Float(output)))
}

/// A seed out of the backend's own generator, which is seeded anew for each step.
fn seed<B: Backend>(device: &B::Device) -> u64 {
    let draws = Tensor::<B, 1>::random([3], Distribution::Uniform(0.0, 1.0), device).into_data().convert::<f32>();
    draws.iter::<f32>().fold(0, |seed, draw| (seed << 22) ^ (f64::from(draw) * 2f64.powi(24)) as u64)
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
    use burn::tensor::backend::AutodiffBackend;
    use burn_flex::{Flex, FlexDevice};

    use super::*;
    use crate::Checkpoint;
    use crate::model::TokenClassification;
    use crate::random::normal;
    use crate::shapes::Shapes;

    type Train = Autodiff<Flex>;

    fn model(hidden_dropout: f64, attention_dropout: f64) -> TokenClassification<Train> {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/tiny-bert");
        let checkpoint = Checkpoint::open(directory).unwrap();
        let mut config = checkpoint.config().clone();
        (config.hidden_dropout, config.attention_dropout) = (hidden_dropout, attention_dropout);
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
        let parameters = layer.parameters().map(|parameter| parameter.grad(&gradients).expect("a gradient"));
        let input = hidden.grad(&gradients).expect("a gradient").into_data().to_vec().unwrap();
        [output.inner().into_data().to_vec().unwrap(), input].into_iter().chain(parameters.map(floats)).collect()
    }

    #[test]
    fn a_recorded_layer_has_the_gradients_of_the_plain_one() {
        let model = model(0.0, 0.0);
        let (tokens, sequences) = sequences();
        let layer = &model.layers[1];
        let width = layer.attention_norm.weight.val().dims()[0];
        let (hidden, weights) = (random([tokens, width], 1), random([tokens, width], 2));
        let plain = gradients(layer, &hidden, &weights, |layer, hidden| layer.forward(hidden, &sequences));
        let recorded = gradients(layer, &hidden, &weights, |layer, hidden| {
            forward(layer, &hidden, &sequences).expect("the activation has a kernel")
        });
        for (number, (plain, recorded)) in plain.iter().zip(&recorded).enumerate() {
            assert_eq!(plain.len(), recorded.len(), "tensor {number}");
            let size = plain.iter().map(|x| x.abs()).fold(0.0, f32::max);
            let worst = plain.iter().zip(recorded).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst <= 2e-5 * (1.0 + size), "tensor {number}: {worst:e} of {size:e}");
        }
    }

    #[test]
    fn gradients_follow_the_masks_of_the_forward_pass() {
        let model = model(0.2, 0.3);
        let (tokens, sequences) = sequences();
        let layer = &model.layers[0];
        let width = layer.attention_norm.weight.val().dims()[0];
        let [hidden, weights, direction] = [1, 2, 3].map(|seed| random([tokens, width], seed));
        // The same seed draws the same masks each time.
        let run = |hidden: Tensor<Flex, 2>| {
            let settings = layer.settings(77);
            let values = layer.parameters().map(|parameter| parameter.primitive);
            let (output, tape) =
                Flex::record_layer(settings, values, hidden.into_primitive().tensor(), sequences.bounds());
            let output = Tensor::<Flex, 2>::from_primitive(TensorPrimitive::Float(output));
            let loss: f64 = (output * weights.clone()).into_data().iter::<f64>().sum();
            (loss, tape)
        };
        let (_, tape) = run(hidden.clone());
        let [gradient, ..] = Flex::layer_gradients(tape, weights.clone().into_primitive().tensor());
        let gradient = Tensor::<Flex, 2>::from_primitive(TensorPrimitive::Float(gradient));
        let expected: f64 = (gradient * direction.clone()).into_data().iter::<f64>().sum();
        let at = |step: f64| run(hidden.clone() + direction.clone() * step).0;
        // Central differences of two widths, combined so that their errors of third order cancel.
        let step = 1e-2;
        let slope = (8.0 * (at(step) - at(-step)) - (at(2.0 * step) - at(-2.0 * step))) / (12.0 * step);
        assert!((slope - expected).abs() < 5e-3 * (1.0 + expected.abs()), "{slope} is not {expected}");
    }

    #[test]
    fn a_training_backend_may_have_no_recorded_layers() {
        assert!(Flex::records(Activation::Gelu) && !Flex::records(Activation::Silu));
        assert!(!<Train as NerBackend>::records(Activation::Gelu));
        fn records_inside<A: AutodiffBackend<InnerBackend: NerBackend>>() -> bool {
            A::InnerBackend::records(Activation::Gelu)
        }
        assert!(records_inside::<Train>());
    }
}
