//! kernels
#![allow(unsafe_code)]
mod attention;
#[cfg(target_arch = "x86_64")]
mod bf16;
mod buffer;
mod encoder;
mod error;
mod gemm;
mod int8;
mod isa;
mod limit;
mod linear;
mod math;
mod norm;
mod pack;
mod parallel;
mod scratch;
mod simd;
#[cfg(test)]
mod testing;
pub use attention::{HeadRows, Heads, attention};
pub use encoder::{Encoder, EncoderConfig, EncoderLayer, LayerWeights, NormWeights};
pub use error::KernelError;
pub use isa::{Isa, Level};
pub use limit::register_flops;
pub use linear::{Epilogue, LinearWeights, PackedLinear, Precision};
pub use math::Activation;
pub use norm::{Embedding, LayerNorm};
pub use pack::Layout;
pub use scratch::Scratch;
