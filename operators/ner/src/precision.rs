//! Arithmetic precision.

use std::fmt;
use std::str::FromStr;

use crate::OptionError;

/// The model's arithmetic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Single precision. On CUDA, matrix products may round their inputs to TF32, which has the mantissa of half precision.
    #[default]
    F32,
    /// Half precision, on CUDA; LayerNorm in single precision.
    F16,
    /// bfloat16: on CPUs with AVX512_BF16 in linear layers only; on CUDA everywhere but in LayerNorm.
    Bf16,
    /// 8-bit weights and activations in linear layers, on the CPU.
    Int8,
}

impl Precision {
    /// All of them, most accurate first.
    pub const ALL: [Self; 4] = [Self::F32, Self::F16, Self::Bf16, Self::Int8];
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
            _ => Err(OptionError::new(text, "f32, f16, bf16, int8")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precisions_are_read_as_they_are_written() {
        for precision in Precision::ALL {
            assert_eq!(precision.to_string().parse(), Ok(precision));
        }
        assert!("fp8".parse::<Precision>().is_err());
    }
}
