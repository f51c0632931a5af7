//! An encoder layer on the CPU kernels while it is trained.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Distribution, Tensor, TensorMetadata};
use burn_flex::{Flex, FlexDevice, FlexTensor};

use super::host::{boundaries, contiguous, kernel_activation, tensor};
use crate::backend::{LayerGradients, LayerParameters, LayerSettings, LayerTensors};
use crate::kernels::{
    self, DistanceBias, Dropout, Heads, Isa, NormWeights, TrainedLinear, TrainingLayer, TrainingScratch,
};

thread_local! {
    /// The backward pass has no other place to keep memory from step to step.
    static SCRATCH: RefCell<TrainingScratch> = RefCell::default();
}

const SHAPES_FIT: &str = "the shapes of a layer follow from one checked configuration";

/// What a layer's forward pass keeps for its gradients.
#[derive(Clone, Debug)]
pub(crate) struct Tape(Arc<Recorded>);

#[derive(Clone, Debug)]
struct Recorded {
    layer: LayerTensors<Flex>,
    activation: kernels::Activation,
    hidden: FlexTensor,
    bias: Option<FlexTensor>,
    tape: kernels::Tape,
}

/// Runs a layer, with dropout masks that follow from a seed; `None` if no kernel has its activation. The seed is drawn only
/// if one has.
pub(super) fn forward(
    layer: LayerTensors<Flex>,
    hidden: FlexTensor,
    sequences: &[Range<usize>],
    bias: Option<FlexTensor>,
    seed: impl FnOnce() -> u64,
) -> Option<(FlexTensor, Tape)> {
    let LayerTensors { settings, parameters } = layer;
    let activation = kernel_activation(settings.activation)?;
    let (parameters, hidden, bias) = (parameters.map(contiguous), contiguous(hidden), bias.map(contiguous));
    let shape = hidden.shape();
    let boundaries = boundaries(sequences, shape[0]);
    let mut out = vec![0.0; shape.num_elements()];
    let dropout =
        Dropout { hidden: settings.hidden_dropout as f32, attention: settings.attention_dropout as f32, seed: seed() };
    let tape = SCRATCH
        .with_borrow_mut(|scratch| {
            let layer = of_kernels(&settings, activation, &parameters, bias.as_ref());
            layer.forward(hidden.storage(), &boundaries, dropout, &mut out, scratch)
        })
        .expect(SHAPES_FIT);
    let recorded = Recorded { layer: LayerTensors { settings, parameters }, activation, hidden, bias, tape };
    Some((tensor(out, shape), Tape(Arc::new(recorded))))
}

/// A seed from the backend's own generator, which is seeded anew for each step.
pub(super) fn draw_seed() -> u64 {
    let draws = Tensor::<Flex, 1>::random([3], Distribution::Uniform(0.0, 1.0), &FlexDevice).into_data();
    let draws = draws.convert::<f32>();
    draws.iter::<f32>().fold(0, |seed, draw| (seed << 22) ^ (f64::from(draw) * 2f64.powi(24)) as u64)
}

/// The gradients of the input and of all parameters.
pub(super) fn backward(Tape(recorded): Tape, gradient: FlexTensor) -> LayerGradients<Flex> {
    let Recorded { layer, activation, hidden, bias, tape } = Arc::unwrap_or_clone(recorded);
    let LayerTensors { settings, parameters } = layer;
    let gradient = contiguous(gradient);
    let found = SCRATCH
        .with_borrow_mut(|scratch| {
            let layer = of_kernels(&settings, activation, &parameters, bias.as_ref());
            layer.backward(tape, hidden.storage(), gradient.storage(), scratch)
        })
        .expect(SHAPES_FIT);
    let kernels::LayerGradients {
        hidden: input,
        query_key_value: [a, b],
        attention_output: [c, d],
        attention_norm: [e, f],
        up: [g, h],
        down: [i, j],
        output_norm: [k, l],
        bias: of_bias,
    } = found;
    let mut shapes = std::iter::once(hidden.shape()).chain(parameters.iter().map(TensorMetadata::shape));
    let mut shaped = |values| tensor(values, shapes.next().expect("a shape for the input and each parameter"));
    LayerGradients {
        input_and_parameters: [input, a, b, c, d, e, f, g, h, i, j, k, l].map(&mut shaped),
        bias: bias.map(|bias| tensor(of_bias, bias.shape())),
    }
}

fn of_kernels<'a>(
    settings: &LayerSettings,
    activation: kernels::Activation,
    parameters: &'a LayerParameters<Flex>,
    bias: Option<&'a FlexTensor>,
) -> TrainingLayer<'a> {
    let values = parameters.each_ref().map(|parameter| parameter.storage::<f32>());
    let linear = |at: usize| TrainedLinear { weight: values[at], bias: values[at + 1] };
    let norm = |at: usize| NormWeights { gamma: values[at], beta: values[at + 1] };
    let hidden = values[4].len();
    TrainingLayer {
        isa: Isa::detect(),
        heads: Heads { count: settings.heads, size: hidden / settings.heads.max(1) },
        activation,
        epsilon: settings.epsilon.map(|epsilon| epsilon as f32),
        query_key_value: linear(0),
        attention_output: linear(2),
        attention_norm: norm(4),
        up: linear(6),
        down: linear(8),
        output_norm: norm(10),
        bias: bias.map(|bias| DistanceBias::new(bias.storage(), settings.heads).expect(SHAPES_FIT)),
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{TensorData, TensorPrimitive};

    use super::*;
    use crate::model::TokenClassification;
    use crate::random::normal;
    use crate::testing::fixture;

    #[test]
    fn gradients_follow_the_masks_of_the_forward_pass() {
        let (mut config, mut weights) = fixture("tiny-bert");
        (config.encoder.hidden_dropout, config.encoder.attention_dropout) = (0.2, 0.3);
        let layer = TokenClassification::<Flex>::load(&config, &mut weights, &FlexDevice).encoder.layers[0].tensors();

        let shape = [140, config.encoder.hidden_size];
        let random = |seed| {
            Tensor::<Flex, 2>::from_data(TensorData::new(normal(shape[0] * shape[1], 1.0, seed), shape), &FlexDevice)
        };
        let [hidden, weights, direction] = [1, 2, 3].map(random);
        // The same seed draws the same masks each time.
        let run = |hidden: Tensor<Flex, 2>| {
            let hidden = hidden.into_primitive().tensor();
            let (output, tape) = forward(layer.clone(), hidden, &[0..1, 1..41, 41..44, 44..140], None, || 77).unwrap();
            let output = Tensor::<Flex, 2>::from_primitive(TensorPrimitive::Float(output));
            let loss: f64 = (output * weights.clone()).into_data().iter::<f64>().sum();
            (loss, tape)
        };
        let (_, tape) = run(hidden.clone());
        let LayerGradients { input_and_parameters: [gradient, ..], .. } =
            backward(tape, weights.clone().into_primitive().tensor());
        let gradient = Tensor::<Flex, 2>::from_primitive(TensorPrimitive::Float(gradient));
        let expected: f64 = (gradient * direction.clone()).into_data().iter::<f64>().sum();
        let at = |step: f64| run(hidden.clone() + direction.clone() * step).0;
        // Central differences of two widths, combined so that their errors of third order cancel.
        let step = 1e-2;
        let slope = (8.0 * (at(step) - at(-step)) - (at(2.0 * step) - at(-2.0 * step))) / (12.0 * step);
        assert!((slope - expected).abs() < 5e-3 * (1.0 + expected.abs()), "{slope} is not {expected}");
    }
}
