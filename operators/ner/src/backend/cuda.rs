//! CUDA: plain operations, which the backend's fusion compiles into few kernels.

use std::convert::Infallible;

use burn::tensor::ops::FloatTensor;
use burn_cubecl::FloatElement;
use burn_cubecl::cubecl::Runtime;
use burn_cubecl::cubecl::cuda::CudaRuntime;
use burn_cuda::CudaDevice;

use super::{LayerGradients, NerBackend};
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
}
