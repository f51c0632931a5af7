//! How exact the model's arithmetic is, and which device can do it.

use std::fmt;
use std::str::FromStr;

use crate::kernels::{Isa, Precision};
use crate::{Device, NerError, OptionError};

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
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
            "bf16" => Ok(Self::Bf16),
            "int8" => Ok(Self::Int8),
            _ => Err(OptionError::new(text, "f32, bf16 and int8")),
        }
    }
}

/// Makes sure that a device has arithmetic of a precision.
///
/// # Errors
/// If it has not; the error says which there is.
pub(crate) fn probe(precision: Precision, device: Device) -> Result<(), NerError> {
    let missing = |reason| Err(NerError::Precision { precision, device, reason });
    match (device, precision) {
        (_, Precision::F32) => Ok(()),
        (Device::Cuda(_), _) => missing("CUDA devices run f32 only"),
        (Device::Cpu, precision) if Isa::detect().precisions().any(|known| known == precision) => Ok(()),
        (Device::Cpu, _) => missing("the processor has no instructions for it (AVX512_BF16)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_every_device_has_f32() {
        for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
            assert_eq!(precision.to_string().parse(), Ok(precision));
        }
        assert!("fp16".parse::<Precision>().is_err());
        assert!(probe(Precision::F32, Device::Cuda(0)).is_ok() && probe(Precision::Int8, Device::Cpu).is_ok());
        let refused = probe(Precision::Int8, Device::Cuda(0)).unwrap_err();
        assert!(refused.to_string().contains("int8") && refused.to_string().contains("f32"), "{refused}");
    }
}
