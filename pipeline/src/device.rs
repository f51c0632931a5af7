//! Which device the model runs on.

use std::fmt;
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

/// Starts the model on the device that the user asks for, or on the best there is.
///
/// # Errors
/// The device asked for is not there, or the model cannot be loaded on it.
pub(crate) fn start(config: &RunConfig, checkpoint: &Checkpoint) -> Result<(TagConfig, Tag), Failure> {
    let device = match config.device {
        DeviceChoice::Only(device) => device,
        DeviceChoice::Auto => best(),
    };
    let defaults = TagConfig::on(device);
    let tag_config = TagConfig {
        token_budget: config.token_budget.unwrap_or(defaults.token_budget),
        aggregation: config.aggregation,
        decoding: config.decode,
        ..defaults
    };
    pubtag_ner::use_threads(config.threads).map_err(|error| Failure::new(error.kind(), error))?;
    let tag = Tag::start(checkpoint, tag_config).map_err(|error| Failure::new(error.kind(), error))?;
    Ok((tag_config, tag))
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
