//! Devices.

use std::fmt;
use std::num::NonZeroUsize;

/// A device that the model can run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Device {
    /// The CPU, with all cores.
    Cpu,
    /// A CUDA device, by number.
    Cuda(usize),
}

impl Device {
    /// Default for the number of tokens per micro-batch.
    ///
    /// On a CPU, more tokens only spill the caches; a GPU needs enough of them to be busy.
    pub fn token_budget(self) -> NonZeroUsize {
        const CPU: NonZeroUsize = NonZeroUsize::new(4096).expect("4096 is not 0");
        const CUDA: NonZeroUsize = NonZeroUsize::new(32_768).expect("32768 is not 0");
        match self {
            Self::Cpu => CPU,
            Self::Cuda(_) => CUDA,
        }
    }

    /// Micro-batches on the device at a time, each with its own thread and stream.
    ///
    /// A CPU runs one with all its cores. On a GPU, while the kernels of one micro-batch run, the next is copied and
    /// launched and the logits of the last come back, so that the GPU does not wait for the host.
    pub(crate) fn lanes(self) -> usize {
        match self {
            Self::Cpu => 1,
            Self::Cuda(_) => 2,
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
