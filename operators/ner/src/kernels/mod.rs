//! The CPU fast path of a BERT-family encoder: plain functions over slices, for whoever owns the tensors.
//!
//! ```text
//! ids ─► LayerNorm::forward_embeddings ─► Encoder::forward ─► PackedLinear::forward ─► logits
//!                                          │ for each layer: PackedLinear, attention, LayerNorm
//!                                          └ Scratch, reused from one micro-batch to the next
//! ```
//!
//! [`Isa`] picks AVX-512, AVX2 or portable code at run time; weights are packed once for it and for a [`Precision`].
//! Kernels are written once over `simd::Simd` and compiled for each instruction set.
//!
//! **Same bits.** A row's result depends on its own sequence, its weights, the instruction set and nothing else: not on
//! the number of threads, the rest of the micro-batch, or how rows fall into blocks. Every sum runs over one inner
//! dimension in one order. Between instruction sets, `f32` results differ in rounding; 8-bit products are exact
//! everywhere.
//!
//! **Threads.** Work is spread over the current rayon pool, and no thread is started. A steady run allocates nothing
//! but rayon's small job records.
//!
//! **Unsafe code** is allowed here alone, for two reasons: vector instructions, which exist only on the processors that
//! have them (a value of a `Simd` type is the proof), and pointers, because tiles of one output are written by several
//! threads. Public functions check every length before they hand out a pointer.
#![allow(unsafe_code)]

mod adamw;
mod attention;
#[cfg(target_arch = "x86_64")]
mod bf16;
mod buffer;
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

pub use adamw::{AdamWStep, adamw, sum_of_squares};
pub use attention::{HeadRows, Heads, attention};
pub use encoder::{Encoder, EncoderConfig, EncoderLayer, LayerWeights, NormWeights};
pub use epilogue::Epilogue;
pub use error::KernelError;
pub use isa::{Isa, Level};
pub use limit::register_flops;
pub use linear::{LinearWeights, PackedLinear};
pub use math::Activation;
pub use norm::{Embedding, LayerNorm};
pub use pack::Layout;
pub use precision::Precision;
pub use scratch::Scratch;
pub use training::{Dropout, LayerGradients, Tape, TrainedLinear, TrainingLayer, TrainingScratch};
