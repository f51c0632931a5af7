//! Matrix products in sizes that a backend's kernels compute correctly.
//!
//! Among the kernels that CubeCL's autotuner chooses from, some read beyond the end of a matrix whose size does not fill
//! their tiles (tracel-ai/cubek#434). What they find there is multiplied by zeros: harmless unless it is not finite. The
//! choice goes by speed, so any of them may run on a card. The known case is an inner size that is an odd multiple of 32;
//! sizes padded with zeros to [`NerBackend::MATRIX_STEP`] avoid it. Common models need padding only in attention, where a
//! head may have 32 columns.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, module};

use super::NerBackend;

/// `[…, rows, inner]` · `[…, inner, columns]` → `[…, rows, columns]`
pub(crate) fn product<B: NerBackend, const D: usize>(a: Tensor<B, D>, b: Tensor<B, D>) -> Tensor<B, D> {
    product_in_steps(a, b, B::MATRIX_STEP)
}

/// `x·W + b`: `[T, in]` → `[T, out]`
pub(crate) fn linear<B: NerBackend>(x: Tensor<B, 2>, weight: Tensor<B, 2>, bias: Tensor<B, 1>) -> Tensor<B, 2> {
    let fills = |dims: [usize; 2]| dims.iter().all(|size| size.is_multiple_of(B::MATRIX_STEP));
    if fills(x.dims()) && fills(weight.dims()) {
        module::linear(x, weight, Some(bias))
    } else {
        product(x, weight) + bias.unsqueeze()
    }
}

fn product_in_steps<B: Backend, const D: usize>(a: Tensor<B, D>, b: Tensor<B, D>, step: usize) -> Tensor<B, D> {
    let (rows, columns) = (a.dims()[D - 2], b.dims()[D - 1]);
    let padded = |x| pad(pad(x, D - 2, step), D - 1, step);
    shorten(shorten(padded(a).matmul(padded(b)), D - 2, rows), D - 1, columns)
}

/// Appends zeros up to a multiple of `step`.
fn pad<B: Backend, const D: usize>(x: Tensor<B, D>, dimension: usize, step: usize) -> Tensor<B, D> {
    let mut shape = x.dims();
    shape[dimension] = shape[dimension].next_multiple_of(step) - shape[dimension];
    if shape[dimension] == 0 {
        return x;
    }
    let zeros = Tensor::zeros(shape, (&x.device(), x.dtype()));
    Tensor::cat(vec![x, zeros], dimension)
}

fn shorten<B: Backend, const D: usize>(x: Tensor<B, D>, dimension: usize, size: usize) -> Tensor<B, D> {
    if x.dims()[dimension] == size { x } else { x.narrow(dimension, 0, size) }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use burn_flex::{Flex, FlexDevice};

    use super::*;
    use crate::random::normal;

    #[test]
    fn a_padded_product_is_the_product() {
        let random = |shape: [usize; 4], seed| {
            let values = normal(shape.iter().product(), 1.0, seed);
            Tensor::<Flex, 4>::from_data(TensorData::new(values, shape), &FlexDevice)
        };
        for (rows, inner, columns) in [(1, 1, 1), (64, 32, 64), (70, 8, 3), (128, 64, 64), (5, 96, 130)] {
            let (a, b) = (random([2, 3, rows, inner], 1), random([2, 3, inner, columns], 2));
            let plain = a.clone().matmul(b.clone());
            let padded = product_in_steps(a, b, 64);
            assert_eq!(padded.dims(), [2, 3, rows, columns]);
            let worst = (padded - plain).abs().max().into_scalar();
            assert!(worst < 1e-4, "{rows} x {inner} x {columns}: {worst}");
        }
    }
}
