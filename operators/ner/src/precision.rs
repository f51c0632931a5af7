//! How exact the model's arithmetic is, and which device can do it.

use std::fmt;
use std::str::FromStr;

use crate::kernels::{self, Isa};
use crate::{Device, NerError, OptionError};

/// The numbers that the model computes with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Single precision. On CUDA products may round their factors to TF32, which has the digits of half precision.
    #[default]
    F32,
    /// Half precision, on CUDA; norms in single precision.
    F16,
    /// bfloat16: on the CPU in linear layers alone, where it has AVX512_BF16; on CUDA in all but norms.
    Bf16,
    /// 8-bit weights and activations in linear layers, on the CPU.
    Int8,
}

impl Precision {
    /// All of them, the most exact first.
    pub const ALL: [Self; 4] = [Self::F32, Self::F16, Self::Bf16, Self::Int8];

    /// The arithmetic of the CPU's kernels that has this precision.
    pub(crate) fn of_kernels(self) -> Option<kernels::Precision> {
        match self {
            Self::F32 => Some(kernels::Precision::F32),
            Self::F16 => None,
            Self::Bf16 => Some(kernels::Precision::Bf16),
            Self::Int8 => Some(kernels::Precision::Int8),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        })
    }
}

impl FromStr for Precision {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        match text {
            "f32" => Ok(Self::F32),
            "f16" => Ok(Self::F16),
            "bf16" => Ok(Self::Bf16),
            "int8" => Ok(Self::Int8),
            _ => Err(OptionError::new(text, "f32, f16, bf16 and int8")),
        }
    }
}

/// Makes sure that a device has arithmetic of a precision.
///
/// # Errors
/// If it has not; the error says which there is.
pub(crate) fn probe(precision: Precision, device: Device) -> Result<(), NerError> {
    let missing = |reason| Err(NerError::Precision { precision, device, reason });
    match (device, precision.of_kernels()) {
        (Device::Cuda(_), _) if precision == Precision::Int8 => missing("CUDA devices run f32, f16 and bf16"),
        (Device::Cuda(_), _) => Ok(()),
        (Device::Cpu, None) => missing("the CPU runs f32, bf16 and int8"),
        (Device::Cpu, Some(kernel)) if Isa::detect().precisions().any(|known| known == kernel) => Ok(()),
        (Device::Cpu, Some(_)) => missing("the processor has no instructions for it (AVX512_BF16)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_every_device_has_f32() {
        for precision in Precision::ALL {
            assert_eq!(precision.to_string().parse(), Ok(precision));
        }
        assert!("fp8".parse::<Precision>().is_err());
        assert!(probe(Precision::F32, Device::Cuda(0)).is_ok() && probe(Precision::Int8, Device::Cpu).is_ok());
        assert!(probe(Precision::F16, Device::Cuda(0)).is_ok() && probe(Precision::F16, Device::Cpu).is_err());
        let refused = probe(Precision::Int8, Device::Cuda(0)).unwrap_err();
        assert!(refused.to_string().contains("int8") && refused.to_string().contains("f32"), "{refused}");
    }
}
