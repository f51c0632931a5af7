//! An encoder layer on the CPU kernels while it is trained.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Bytes, DType, Shape, TensorMetadata};
use burn_flex::{Flex, FlexTensor, Layout};

use crate::fused::{boundaries, kernel_activation};
use crate::kernels::{
    Dropout, Heads, Isa, LayerGradients, NormWeights, Tape, TrainedLinear, TrainingLayer, TrainingScratch,
};
use crate::recorded::{LayerParameters, LayerSettings};

thread_local! {
    /// The backward pass has no other place that lasts from step to step.
    static SCRATCH: RefCell<TrainingScratch> = RefCell::default();
}

/// What a layer's forward pass leaves for its gradients.
#[derive(Clone, Debug)]
pub struct FlexTape(Arc<Recorded>);

#[derive(Clone, Debug)]
struct Recorded {
    settings: LayerSettings,
    parameters: LayerParameters<Flex>,
    hidden: FlexTensor,
    tape: Tape,
}

/// Runs a layer; see [`NerBackend::record_layer`](crate::NerBackend::record_layer).
pub(crate) fn forward(
    settings: LayerSettings,
    parameters: LayerParameters<Flex>,
    hidden: FlexTensor,
    sequences: &[Range<usize>],
) -> (FlexTensor, FlexTape) {
    let (parameters, hidden) = (parameters.map(contiguous), contiguous(hidden));
    let shape = hidden.shape();
    let boundaries = boundaries(sequences, shape[0]);
    let mut out = vec![0.0; shape.num_elements()];
    let dropout = Dropout {
        hidden: settings.hidden_dropout as f32,
        attention: settings.attention_dropout as f32,
        seed: settings.seed,
    };
    let tape = SCRATCH
        .with_borrow_mut(|scratch| {
            layer(&settings, &parameters).forward(hidden.storage(), &boundaries, dropout, &mut out, scratch)
        })
        .expect("the shapes of a layer follow from one checked configuration");
    (tensor(out, shape), FlexTape(Arc::new(Recorded { settings, parameters, hidden, tape })))
}

/// The gradients of the input and of all parameters.
pub(crate) fn backward(FlexTape(recorded): FlexTape, gradient: FlexTensor) -> [FlexTensor; 13] {
    let Recorded { settings, parameters, hidden, tape } = Arc::unwrap_or_clone(recorded);
    let found = SCRATCH
        .with_borrow_mut(|scratch| {
            layer(&settings, &parameters).backward(tape, hidden.storage(), contiguous(gradient).storage(), scratch)
        })
        .expect("the shapes of a layer follow from one checked configuration");
    let LayerGradients { hidden: input, query_key_value, attention_output, attention_norm, up, down, output_norm } =
        found;
    let [a, b] = query_key_value;
    let [c, d] = attention_output;
    let [e, f] = attention_norm;
    let [g, h] = up;
    let [i, j] = down;
    let [k, l] = output_norm;
    let mut shapes = std::iter::once(hidden.shape()).chain(parameters.iter().map(TensorMetadata::shape));
    [input, a, b, c, d, e, f, g, h, i, j, k, l]
        .map(|values| tensor(values, shapes.next().expect("a shape for the input and each parameter")))
}

fn layer<'a>(settings: &LayerSettings, parameters: &'a LayerParameters<Flex>) -> TrainingLayer<'a> {
    let values = parameters.each_ref().map(|parameter| parameter.storage::<f32>());
    let linear = |at: usize| TrainedLinear { weight: values[at], bias: values[at + 1] };
    let norm = |at: usize| NormWeights { gamma: values[at], beta: values[at + 1] };
    let hidden = values[4].len();
    TrainingLayer {
        isa: Isa::detect(),
        heads: Heads { count: settings.heads, size: hidden / settings.heads.max(1) },
        activation: kernel_activation(settings.activation).expect("layers without a kernel are not recorded"),
        epsilon: settings.epsilon.map(|epsilon| epsilon as f32),
        query_key_value: linear(0),
        attention_output: linear(2),
        attention_norm: norm(4),
        up: linear(6),
        down: linear(8),
        output_norm: norm(10),
    }
}

/// A tensor whose storage holds its values alone, in order; a copy only if it must be.
pub(crate) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    let whole = tensor.is_contiguous()
        && tensor.layout().start_offset() == 0
        && tensor.bytes().len() == tensor.layout().num_elements() * size_of::<f32>();
    if whole { tensor } else { tensor.to_contiguous() }
}

/// A tensor of these values; nothing is copied.
pub(crate) fn tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape), DType::F32)
}
