//! The arithmetic of products.

/// The arithmetic of linear layers and of attention. Everything else is in single precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Single precision throughout.
    #[default]
    F32,
    /// Factors in bfloat16, sums in single precision. Needs AVX512_BF16.
    Bf16,
    /// In linear layers, weights in 8 bits with a scale per output, activations in 8 bits with a scale per row, sums in 32
    /// bits. Attention is in bfloat16 where the processor has AVX512_BF16, and in single precision elsewhere.
    Int8,
}
