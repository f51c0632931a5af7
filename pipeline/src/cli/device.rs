//! Where and how a model runs: options that several subcommands share.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};

use super::amounts::ByteSize;
use super::numbers::whole;

/// Where and how a model runs.
#[derive(Args, Clone, Debug)]
pub struct DeviceArgs {
    /// Device to run the model on: auto, cpu, cuda, cuda:N, cuda:N,M (several cards) or cuda:all.
    #[arg(long, default_value_t, value_name = "DEVICE")]
    pub device: DeviceChoice,

    /// Arithmetic precision. int8 is about twice as fast on a CPU, at slightly lower accuracy.
    #[arg(long, value_enum, default_value_t)]
    pub precision: Precision,

    /// Maximum tokens per micro-batch [default: 2048 on a CPU, 512 there in int8, 32768 on CUDA].
    #[arg(long, value_name = "N", value_parser = whole::<NonZeroUsize>)]
    pub token_budget: Option<NonZeroUsize>,

    /// Threads for inference [default: number of available physical cores].
    #[arg(long, value_name = "N", value_parser = whole::<NonZeroUsize>)]
    pub threads: Option<NonZeroUsize>,

    /// Threads per micro-batch on a CPU. There are as many workers, each with its own micro-batch, as --threads suffices
    /// for; the results are the same.
    #[arg(long, default_value = "1", value_name = "N", value_parser = whole::<NonZeroUsize>)]
    pub threads_per_worker: NonZeroUsize,

    /// Directory for compiled CUDA kernels [default: pubtag in the user's cache directory].
    #[arg(long, value_name = "DIR", env = "PUBTAG_CACHE_DIR")]
    pub cache_dir: Option<PathBuf>,

    /// Memory limit per CUDA device, such as 12GiB [default: all].
    #[arg(long, value_name = "SIZE")]
    pub device_memory: Option<ByteSize>,

    /// Do not compare a CUDA device's results with the CPU's; for testing with a driver that computes nothing.
    #[arg(long, hide = true)]
    pub unchecked_device: bool,
}

/// Precisions of the model's arithmetic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// Half precision; CUDA only.
    F16,
    /// bfloat16; on CUDA, and on CPUs with AVX512_BF16.
    Bf16,
    /// 8-bit integers; CPU only.
    Int8,
}

/// The device or devices to run on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first CUDA device if it works, otherwise the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// CUDA devices, by number.
    Cuda(Vec<usize>),
    /// Every CUDA device.
    AllCuda,
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::AllCuda => f.write_str("cuda:all"),
            Self::Cuda(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(usize::to_string).collect();
                write!(f, "cuda:{}", numbers.join(","))
            }
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(vec![0])),
            "cuda:all" => Ok(Self::AllCuda),
            _ => text
                .strip_prefix("cuda:")
                .and_then(device_numbers)
                .map(Self::Cuda)
                .ok_or("expected auto, cpu, cuda, cuda:N, cuda:N,M or cuda:all"),
        }
    }
}

/// Distinct numbers, separated by commas.
fn device_numbers(list: &str) -> Option<Vec<usize>> {
    let mut numbers = Vec::new();
    for digits in list.split(',') {
        let number = digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        if numbers.contains(&number) {
            return None;
        }
        numbers.push(number);
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_parsed_as_they_are_printed() {
        for text in ["auto", "cpu", "cuda:1", "cuda:0,2,5", "cuda:all"] {
            assert_eq!(text.parse::<DeviceChoice>().map(|choice| choice.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("cuda:0,1".parse(), Ok(DeviceChoice::Cuda(vec![0, 1])));
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(vec![0])));
        let bad = ["", "gpu", "cuda:", "cuda:0,", "cuda:0,0", "cuda:+1", "cpu,0", "cuda:0,cpu", "cuda:0,cuda:1", "all"];
        for bad in bad {
            assert!(bad.parse::<DeviceChoice>().is_err(), "{bad:?}");
        }
    }
}
