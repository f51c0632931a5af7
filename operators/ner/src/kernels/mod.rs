//! The CPU fast path: functions over slices, no Burn types.
//!
//! ```text
//! rows ─► PackedLinear (q, k, v) ─► attention ─► PackedLinear ─► LayerNorm ─► PackedLinear ×2 ─► LayerNorm ─► rows
//! ```
//!
//! Every kernel is written once over `Simd`, a register of some width, and compiled for each [`Level`]; [`Isa`] picks
//! the best that this processor has, at run time. A row's result depends on its own sequence alone: never on the number
//! of threads, nor on what else is in the micro-batch.
#![allow(unsafe_code)] // the only room that may: loads and stores of registers, and blocks of rows shared between threads

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
