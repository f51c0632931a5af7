//! CUDA: plain operations, which the backend's fusion compiles into few kernels.

use std::convert::Infallible;

use burn::nn::Dropout;
use burn::tensor::ops::{AttentionModuleOptions, FloatTensor};
use burn::tensor::{DType, Tensor, module};
use burn_cubecl::FloatElement;
use burn_cubecl::cubecl::Runtime;
use burn_cubecl::cubecl::cuda::CudaRuntime;
use burn_cuda::CudaDevice;

use super::{LayerGradients, NerBackend, dense_attention};
use crate::packed::PaddedView;
use crate::shapes::Shapes;

pub(crate) use burn_cuda::Cuda;

/// The backend's name for a device number.
pub(crate) fn cuda_device(number: usize) -> CudaDevice {
    CudaDevice::new(number)
}

/// Bytes of device memory that the allocator has reserved for the calling thread.
///
/// # Errors
/// What the device reports.
pub(crate) fn reserved_bytes(number: usize) -> Result<u64, String> {
    let usage = CudaRuntime::client(&cuda_device(number)).memory_usage();
    usage.map(|usage| usage.bytes_reserved).map_err(|error| format!("{error:?}"))
}

impl<F: FloatElement> NerBackend for Cuda<F> {
    type Tape = Infallible;
    const SHAPES: Shapes = Shapes::Listed;
    const MATRIX_STEP: usize = 64;

    fn layer_gradients(tape: Infallible, _: FloatTensor<Self>) -> LayerGradients<Self> {
        match tape {}
    }

    /// Half precision has a fused kernel that does not hold the scores. It has no dropout, which only training needs, and
    /// training runs on `Autodiff`.
    fn masked_attention(
        query: Tensor<Self, 4>,
        key: Tensor<Self, 4>,
        value: Tensor<Self, 4>,
        view: &PaddedView<Self>,
        dropout: &Dropout,
    ) -> Tensor<Self, 4> {
        if query.dtype() != DType::F16 {
            return dense_attention(query, key, value, view, dropout);
        }
        let mask = view.whole_mask(query.dims()[1]);
        module::attention(query, key, value, Some(mask), None, AttentionModuleOptions::default())
    }
}
