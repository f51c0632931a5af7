//! The CPU: the [kernels](crate::kernels) run encoders, layers under training, and the optimizer.

mod encoder;
mod host;
mod training;

use std::ops::Range;

use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorPrimitive};
use burn_flex::{Flex, FlexDevice, FlexTensor};

use super::{EncoderTensors, FusedEncoder, LayerGradients, LayerTensors, Moments, NerBackend};
use crate::kernels::{self, AdamWStep, Isa, Precision};
use crate::shapes::Shapes;
use encoder::KernelEncoder;
use host::contiguous;
use training::Tape;

pub(crate) use burn_flex::Flex as Cpu;

/// The CPU as a device of its backend.
pub(crate) const CPU: FlexDevice = FlexDevice;

impl NerBackend for Flex {
    type Tape = Tape;
    const SHAPES: Shapes = Shapes::Exact;

    fn fuse(encoder: &EncoderTensors<Self>, precision: Precision) -> Option<Box<dyn FusedEncoder<Self>>> {
        Some(Box::new(KernelEncoder::new(encoder, precision)?))
    }

    fn record_layer(
        layer: LayerTensors<Self>,
        hidden: FloatTensor<Self>,
        sequences: &[Range<usize>],
        bias: Option<FloatTensor<Self>>,
    ) -> Option<(FloatTensor<Self>, Tape)> {
        training::forward(layer, hidden, sequences, bias, training::draw_seed)
    }

    fn layer_gradients(tape: Tape, gradient: FloatTensor<Self>) -> LayerGradients<Self> {
        training::backward(tape, gradient)
    }

    fn adamw(
        parameter: Tensor<Self, 1>,
        gradient: Tensor<Self, 1>,
        moments: Option<Moments<Self>>,
        step: &AdamWStep,
    ) -> (Tensor<Self, 1>, Moments<Self>) {
        let moments = moments.unwrap_or_else(|| [gradient.zeros_like(), gradient.zeros_like()]);
        let mut parameter = flex(parameter);
        let [mut first, mut second] = moments.map(flex);
        kernels::adamw(
            Isa::detect(),
            step,
            parameter.storage_mut(),
            flex(gradient).storage(),
            [first.storage_mut(), second.storage_mut()],
        );
        (from_flex(parameter), [first, second].map(from_flex))
    }

    fn sum_of_squares(values: Tensor<Self, 1>) -> f64 {
        kernels::sum_of_squares(Isa::detect(), flex(values).storage())
    }
}

fn flex<const D: usize>(tensor: Tensor<Flex, D>) -> FlexTensor {
    contiguous(tensor.into_primitive().tensor())
}

fn from_flex<const D: usize>(tensor: FlexTensor) -> Tensor<Flex, D> {
    Tensor::from_primitive(TensorPrimitive::Float(tensor))
}
