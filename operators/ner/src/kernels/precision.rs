//! The arithmetic that linear layers are packed for.

/// The arithmetic of a linear layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Single precision throughout.
    #[default]
    F32,
    /// Weights and activations of linear layers in bfloat16, sums in single precision. Needs AVX512_BF16.
    Bf16,
    /// Weights in 8 bits with a scale per output, activations in 8 bits with a scale per row, sums in 32 bits; everything
    /// else in single precision.
    Int8,
}
