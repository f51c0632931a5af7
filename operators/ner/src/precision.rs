//! Arithmetic precision.

use std::fmt;

/// The model's arithmetic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Single precision. On CUDA, matrix products may round their inputs to TF32, which has the mantissa of half precision.
    #[default]
    F32,
    /// Half precision, on CUDA; LayerNorm in single precision.
    F16,
    /// bfloat16: on CPUs with AVX512_BF16 in linear layers and attention; on CUDA everywhere but in LayerNorm.
    Bf16,
    /// 8-bit weights and activations in linear layers, on the CPU. Attention is in bfloat16 with AVX512_BF16.
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
