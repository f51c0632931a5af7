//! Devices.

use std::fmt;
use std::num::NonZeroUsize;

use crate::Precision;

/// A device that the model can run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Device {
    /// The CPU.
    Cpu,
    /// A CUDA device, by number.
    Cuda(usize),
}

/// Micro-batches on a CUDA device at a time, each with its own thread, stream and weights: while the kernels of one run,
/// the next is copied and launched and the logits of the last come back, so that the device does not wait for the host.
pub(crate) const CUDA_LANES: usize = 2;

impl Device {
    /// Default for the number of tokens per micro-batch.
    ///
    /// On a CPU, fewer tokens keep more workers busy on small inputs, and hidden states in the cache; more tokens read the
    /// weights less often, which are smallest in int8. A GPU needs many tokens to be busy.
    pub fn token_budget(self, precision: Precision) -> NonZeroUsize {
        const CPU: NonZeroUsize = NonZeroUsize::new(2048).expect("2048 is not 0");
        const CPU_INT8: NonZeroUsize = NonZeroUsize::new(512).expect("512 is not 0");
        const CUDA: NonZeroUsize = NonZeroUsize::new(32_768).expect("32768 is not 0");
        match (self, precision) {
            (Self::Cpu, Precision::Int8) => CPU_INT8,
            (Self::Cpu, _) => CPU,
            (Self::Cuda(_), _) => CUDA,
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}
