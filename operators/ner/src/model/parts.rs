//! The building blocks: linear layers, LayerNorm and activations.

use burn::module::{Module, Param};
use burn::tensor::activation::{gelu, gelu_approximate, relu, silu};
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{DType, Tensor, TensorData, TensorPrimitive};

use crate::backend::{NerBackend, Pair, linear};
use crate::config::Activation;
use crate::weights::Weights;

/// `y = x·W + b`
#[derive(Module, Debug)]
pub(crate) struct Linear<B: Backend> {
    /// `[in, out]`
    pub(crate) weight: Param<Tensor<B, 2>>,
    /// `[out]`
    pub(crate) bias: Param<Tensor<B, 1>>,
}

/// Layer normalisation (Ba et al., 2016) over the last dimension.
#[derive(Module, Debug)]
pub(crate) struct LayerNorm<B: Backend> {
    /// `[width]`: the scale.
    pub(crate) weight: Param<Tensor<B, 1>>,
    /// `[width]`: the shift.
    pub(crate) bias: Param<Tensor<B, 1>>,
    /// Added to the variance.
    pub(crate) eps: f64,
}

impl<B: Backend> Linear<B> {
    /// Loads modules with the same input as one, with their outputs side by side.
    pub(crate) fn load(modules: &[&str], input: usize, weights: &mut Weights, device: &B::Device) -> Self {
        let mut parts = |kind| -> Vec<Vec<f32>> {
            modules.iter().map(|module| weights.take(&format!("{module}.{kind}"))).collect()
        };
        let (weight, bias) = (parts("weight"), parts("bias").concat());
        let output = bias.len();
        Self {
            weight: parameter(side_by_side(weight, input), [input, output], device),
            bias: parameter(bias, [output], device),
        }
    }

    /// The layer in the form that backends take.
    pub(crate) fn tensors(&self) -> Pair<B> {
        [primitive(&self.weight), primitive(&self.bias)]
    }
}

impl<B: NerBackend> Linear<B> {
    /// `[T, in]` → `[T, out]`
    pub(crate) fn forward(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        linear(x, self.weight.val(), self.bias.val())
    }
}

impl<B: Backend> LayerNorm<B> {
    pub(crate) fn load(module: &str, eps: f64, weights: &mut Weights, device: &B::Device) -> Self {
        let mut vector = |kind| {
            let values = weights.take(&format!("{module}.{kind}"));
            let width = values.len();
            parameter(values, [width], device)
        };
        Self { weight: vector("weight"), bias: vector("bias"), eps }
    }

    /// The norm in the form that backends take.
    pub(crate) fn tensors(&self) -> Pair<B> {
        [primitive(&self.weight), primitive(&self.bias)]
    }

    /// `[T, width]` → `[T, width]`. Computed in 32 bits, since sums over a row lose too much in 16.
    pub(crate) fn forward(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        let precision = x.dtype();
        let x = x.cast(DType::F32).into_primitive().tensor();
        let [weight, bias] =
            [&self.weight, &self.bias].map(|parameter| parameter.val().cast(DType::F32).into_primitive().tensor());
        let normalized = B::layer_norm(x, weight, Some(bias), self.eps);
        Tensor::<B, 2>::from_primitive(TensorPrimitive::Float(normalized)).cast(precision)
    }
}

/// Applies an activation to each value.
pub(super) fn activate<B: Backend>(x: Tensor<B, 2>, activation: Activation) -> Tensor<B, 2> {
    match activation {
        Activation::Gelu => gelu(x),
        Activation::GeluTanh => gelu_approximate(x),
        Activation::Relu => relu(x),
        Activation::Silu => silu(x),
    }
}

/// A parameter in the form that backends take.
pub(super) fn primitive<B: Backend, const D: usize>(parameter: &Param<Tensor<B, D>>) -> FloatTensor<B> {
    parameter.val().into_primitive().tensor()
}

/// A parameter with these values.
pub(super) fn parameter<B: Backend, const D: usize>(
    values: Vec<f32>,
    shape: [usize; D],
    device: &B::Device,
) -> Param<Tensor<B, D>> {
    Param::from_data(TensorData::new(values, shape), device)
}

/// Matrices of as many rows, as one.
fn side_by_side(mut matrices: Vec<Vec<f32>>, rows: usize) -> Vec<f32> {
    if matrices.len() == 1 {
        return matrices.swap_remove(0);
    }
    let mut joined = Vec::with_capacity(matrices.iter().map(Vec::len).sum());
    for row in 0..rows {
        for matrix in &matrices {
            let width = matrix.len() / rows;
            joined.extend_from_slice(&matrix[row * width..][..width]);
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::side_by_side;

    #[test]
    fn matrices_are_joined_row_by_row() {
        let joined = side_by_side(vec![vec![1.0, 2.0], vec![3.0, 4.0, 5.0, 6.0]], 2);
        assert_eq!(joined, [1.0, 3.0, 4.0, 2.0, 5.0, 6.0]);
        assert_eq!(side_by_side(vec![vec![1.0, 2.0]], 2), [1.0, 2.0]);
    }
}
