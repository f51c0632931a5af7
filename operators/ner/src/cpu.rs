//! The model on the CPU.

use crate::backend::{CPU, Cpu};
use crate::burn_classifier::BurnClassifier;
use crate::kernels::{self, Isa};
use crate::{Checkpoint, Device, NerError, Precision};

/// Loads a checkpoint.
///
/// # Errors
/// If the kernels lack the precision, or the weights cannot be read or do not fit the configuration.
pub(crate) fn open(checkpoint: &Checkpoint, precision: Precision) -> Result<BurnClassifier<Cpu>, NerError> {
    BurnClassifier::load(checkpoint, CPU, arithmetic(precision)?)
}

/// The kernels' arithmetic of a precision.
///
/// # Errors
/// If there is none, or this processor lacks the instructions for it.
pub(crate) fn arithmetic(precision: Precision) -> Result<kernels::Precision, NerError> {
    let missing = |reason| Err(NerError::Precision { precision, device: Device::Cpu, reason });
    let arithmetic = match precision {
        Precision::F32 => kernels::Precision::F32,
        Precision::Bf16 => kernels::Precision::Bf16,
        Precision::Int8 => kernels::Precision::Int8,
        Precision::F16 => return missing("the CPU supports f32, bf16 and int8"),
    };
    match Isa::detect().precisions().any(|known| known == arithmetic) {
        true => Ok(arithmetic),
        false => missing("this processor lacks the instructions for it (AVX512_BF16)"),
    }
}
