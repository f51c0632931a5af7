//! CPU kernels for BERT-family encoders: plain functions over slices.
//!
//! ```text
//! ids ─► Embeddings::forward ─► hidden ─► Encoder::forward ─► hidden
//!                                         │ for each layer: PackedLinear, attention, LayerNorm
//!                                         └ Scratch, reused by each micro-batch
//! ```
//!
//! [`Isa`] selects AVX-512, AVX2 or portable code at run time; weights are packed once for it and for a [`Precision`].
//! Kernels are written once over `simd::Simd` and compiled for each instruction set.
//!
//! **Reproducibility.** A row's result depends only on its own sequence, the weights and the instruction set: not on the
//! number of threads, the rest of the micro-batch, or how rows are divided into blocks. Every sum runs over one inner
//! dimension in one order. `f32` results differ in rounding between instruction sets; 8-bit products are exact everywhere.
//! Attention beside them is in bfloat16 only where the processor has it, so the results of [`Precision::Int8`] differ by that.
//!
//! **Threads.** Work is spread over the current rayon pool; no thread is started. A steady run allocates nothing but
//! rayon's small job records.
//!
//! **Unsafe code** is allowed only here in this crate, for two reasons: vector instructions, which not every processor has
//! (a value of a `Simd` type proves that they exist), and pointers, because several threads write tiles of one output.
//! Public functions check every length before they create a pointer.
#![allow(unsafe_code)]

mod adamw;
mod attention;
#[cfg(target_arch = "x86_64")]
mod bf16;
mod buffer;
mod embeddings;
mod encoder;
mod epilogue;
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
mod precision;
mod scratch;
mod simd;
#[cfg(test)]
mod testing;
mod training;

pub(crate) use adamw::{AdamWStep, adamw, sum_of_squares};
pub use attention::{DistanceBias, HeadRows, Heads, attention};
pub use buffer::Buffer;
pub use embeddings::{EmbeddingWeights, Embeddings};
pub use encoder::{Encoder, EncoderConfig, EncoderLayer, LayerWeights, NormWeights};
pub use epilogue::Epilogue;
pub use error::KernelError;
pub use isa::{Isa, Level};
pub use limit::register_flops;
pub use linear::{LinearWeights, PackedLinear};
pub use math::Activation;
pub use norm::LayerNorm;
pub use pack::Layout;
pub use precision::Precision;
pub use scratch::Scratch;
pub(crate) use training::{Dropout, LayerGradients, Tape, TrainedLinear, TrainingLayer, TrainingScratch};
