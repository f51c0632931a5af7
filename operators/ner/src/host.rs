//! Numbers between host and device.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// A tensor's values on the host, in 32 bits.
pub(crate) fn floats<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().into_vec().expect("just converted to f32")
}

/// An index as the 32-bit integer that every backend has.
pub(crate) fn index(value: usize) -> i32 {
    i32::try_from(value).expect("a micro-batch is bounded by its token budget, far below 2³¹")
}
