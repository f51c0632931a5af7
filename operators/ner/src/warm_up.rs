//! Warming a device up before it is needed: its kernels compiled, tuned, checked, and kept for later runs.

use std::time::Duration;

use crate::{Checkpoint, ClassifierSetup, Device, NerError};

/// A shape that a device has met while warming up.
#[derive(Clone, Debug)]
pub struct Warmed {
    /// Sequences of the micro-batch.
    pub sequences: usize,
    /// Tokens of each of them.
    pub length: usize,
    /// How long it took at first: kernels are compiled and tuned, or fetched from the cache.
    pub first: Duration,
    /// How long it took again.
    pub again: Duration,
}

/// Opens a model on a device as a run would, and says how long each shape took. A CPU has nothing to warm up.
///
/// # Errors
/// If the device cannot be used, fails or computes wrongly, or the weights cannot be read.
pub fn warm_up(checkpoint: &Checkpoint, device: Device, setup: &ClassifierSetup) -> Result<Vec<Warmed>, NerError> {
    device.probe()?;
    crate::precision::probe(setup.precision, device)?;
    match device {
        Device::Cpu => Ok(Vec::new()),
        Device::Cuda(number) => warm_cuda(checkpoint, number, setup),
    }
}

#[cfg(feature = "cuda")]
fn warm_cuda(checkpoint: &Checkpoint, number: usize, setup: &ClassifierSetup) -> Result<Vec<Warmed>, NerError> {
    Ok(crate::cuda::CudaClassifier::open(checkpoint, number, setup)?.1)
}

#[cfg(not(feature = "cuda"))]
fn warm_cuda(_: &Checkpoint, number: usize, _: &ClassifierSetup) -> Result<Vec<Warmed>, NerError> {
    Err(NerError::Device { device: Device::Cuda(number), reason: crate::device::WITHOUT_CUDA.to_owned() })
}
