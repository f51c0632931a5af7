//! Devices.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

/// A device that the model can run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Device {
    /// The CPU, with all cores.
    Cpu,
    /// A CUDA device, by number.
    Cuda(usize),
}

/// A text that is not a device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a device; use cpu, cuda or cuda:<number>")]
pub struct DeviceError {
    text: String,
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

impl FromStr for Device {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let number = |digits: &str| digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()));
        match text {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(number)
                .map(Self::Cuda)
                .ok_or_else(|| DeviceError { text: text.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_written() {
        for (text, device) in [("cpu", Device::Cpu), ("cuda:0", Device::Cuda(0)), ("cuda:3", Device::Cuda(3))] {
            assert_eq!(text.parse(), Ok(device));
            assert_eq!(device.to_string(), text);
        }
        assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
        for bad in ["", "gpu", "cuda:", "cuda:-1", "cuda:+1", "CPU"] {
            assert!(bad.parse::<Device>().is_err(), "{bad:?} must not be a device");
        }
    }
}
