//! Executes PTX on the CPU: what a GPU does with a kernel, for tests on a machine without one.
//!
//! ```text
//! text ─► items ─► operands ─► steps            once a module: text, scope, decode
//!                                 │
//! launch ─► grid ─► block ─► warp ─► step       once an instruction and warp: registers, memory, races …
//! ```
//!
//! [`Module::parse`] decodes every instruction to a closure over the rows of its registers; [`Kernel::launch`] runs
//! the blocks of a grid on the processors of the host. An instruction that is not known ends the parsing, with its
//! text and line. While a kernel runs, each access is checked (allocated, aligned), races in shared memory are
//! looked for, asynchronous copies land as late as they may, shared and local memory begin as [`POISON`], and a
//! deadlock is reported with the place of every warp.

mod barriers;
mod block;
mod copies;
mod decode;
mod float;
mod fragment;
mod grid;
mod mbarrier;
mod memory;
mod module;
mod races;
mod registers;
mod scope;
mod special;
mod step;
mod tensor;
mod text;
mod types;
mod warp;

pub use float::{Format, Rounding};
pub use grid::{Counts, Launch, LaunchError};
pub use memory::Global;
pub use module::{Kernel, Module, Parameter};
pub use tensor::{TENSOR_MAP_BYTES, TensorMap};
pub use text::ParseError;

/// What memory holds that nobody has written: 16 bytes of NaNs and 16 of large finite numbers (the bytes `ff 7b`: 65,504 in `f16`, 10³⁶
/// and more in `bf16` and `f32`), in turn.
///
/// Both are needed: `max` passes over a NaN, and a test for NaNs over a number.
pub const POISON: [u8; 32] = {
    let mut bytes = [0xff; 32];
    let mut at = 16;
    while at < 32 {
        bytes[at + 1] = 0x7b;
        at += 2;
    }
    bytes
};
