//! Flex tensors as the slices and numbers that kernels take.

use std::ops::Range;

use burn::tensor::{Bytes, DType, Shape};
use burn_flex::{FlexTensor, Layout};

use crate::config::Activation;
use crate::kernels;

/// A tensor whose storage holds exactly its values, in order; copied only if necessary.
pub(super) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    let whole = tensor.is_contiguous()
        && tensor.layout().start_offset() == 0
        && tensor.bytes().len() == tensor.layout().num_elements() * size_of::<f32>();
    if whole { tensor } else { tensor.to_contiguous() }
}

/// A tensor that takes these values over without a copy.
pub(super) fn tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape), DType::F32)
}

/// The kernels' name for an activation; `None` if they lack it.
pub(super) fn kernel_activation(activation: Activation) -> Option<kernels::Activation> {
    match activation {
        Activation::Gelu => Some(kernels::Activation::Gelu),
        Activation::GeluTanh => Some(kernels::Activation::GeluTanh),
        Activation::Relu => Some(kernels::Activation::Relu),
        Activation::Silu => None,
    }
}

/// Where sequences begin and the last one ends. Padding tokens behind them count as one more sequence.
pub(super) fn boundaries(sequences: &[Range<usize>], tokens: usize) -> Vec<u32> {
    let ends = sequences.iter().map(|sequence| sequence.end);
    let padding = sequences.last().is_none_or(|last| last.end < tokens).then_some(tokens);
    std::iter::once(0)
        .chain(ends)
        .chain(padding)
        .map(|end| u32::try_from(end).expect("a micro-batch is bounded by its token budget, far below 2³²"))
        .collect()
}
