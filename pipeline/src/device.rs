//! Which device the model runs on.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use pubtag_ner::{Checkpoint, Device, Tag, TagConfig};

use crate::config::RunConfig;
use crate::exit::Failure;

/// What the user asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first CUDA device if there is one that works, else the CPU.
    #[default]
    Auto,
    /// This device or none.
    Only(Device),
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Only(device) => device.fmt(f),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => text.parse().map(Self::Only).map_err(|_| "expected auto, cpu, cuda or cuda:N".to_owned()),
        }
    }
}

impl DeviceChoice {
    /// The device asked for, or the best there is.
    pub(crate) fn choose(self) -> Device {
        match self {
            Self::Only(device) => device,
            Self::Auto => best(),
        }
    }
}

/// Starts the model on the device that the user asks for, or on the best there is.
///
/// # Errors
/// The device asked for is not there, or the model cannot be loaded on it.
pub(crate) fn start(config: &RunConfig, checkpoint: &Checkpoint) -> Result<(TagConfig, Tag), Failure> {
    let device = config.device.choose();
    let defaults = TagConfig::on(device);
    let tag_config = TagConfig {
        token_budget: config.token_budget.unwrap_or(defaults.token_budget),
        aggregation: config.aggregation,
        decoding: config.decode,
        precision: config.precision,
        ..defaults
    };
    use_threads(config.threads)?;
    let tag = Tag::start(checkpoint, tag_config).map_err(|error| Failure::new(error.kind(), error))?;
    Ok((tag_config, tag))
}

/// Has the model's arithmetic done by so many threads.
pub(crate) fn use_threads(threads: NonZeroUsize) -> Result<(), Failure> {
    pubtag_ner::use_threads(threads).map_err(|error| Failure::new(error.kind(), error))
}

/// The first CUDA device if it can be used, else the CPU; says which, and why.
fn best() -> Device {
    let cuda = Device::Cuda(0);
    match cuda.probe() {
        Ok(()) => cuda,
        Err(error) => {
            tracing::info!("device auto: cpu ({error})");
            Device::Cpu
        }
    }
}
