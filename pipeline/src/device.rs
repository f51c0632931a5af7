//! Which device the model runs on.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use pubtag_ner::{
    Aggregation, Checkpoint, ClassifierSetup, CudaSettings, Decoding, Device, NerError, Precision, Tag, TagConfig,
    cuda_devices, probe,
};

use crate::cli::DeviceArgs;
use crate::exit::Failure;
use crate::processors::physical_cores;

/// What the user asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first CUDA device if there is one that works, else the CPU.
    #[default]
    Auto,
    /// These devices or none.
    Only(Vec<Device>),
    /// Every CUDA device.
    AllCuda,
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::AllCuda => f.write_str("cuda:all"),
            Self::Only(devices) => f.write_str(&names(devices)),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected auto, cpu, cuda, cuda:N, cuda:N,M or cuda:all".to_owned();
        match text {
            "auto" => Ok(Self::Auto),
            "cuda:all" => Ok(Self::AllCuda),
            _ => {
                let (first, more) = text.split_once(',').map_or((text, None), |(first, more)| (first, Some(more)));
                let more = more.into_iter().flat_map(|more| more.split(',')).map(|number| format!("cuda:{number}"));
                let devices: Result<Vec<Device>, _> =
                    std::iter::once(first.to_owned()).chain(more).map(|name| name.parse()).collect();
                let devices = devices.map_err(|_| expected())?;
                let known = |at: usize| devices[..at].contains(&devices[at]);
                let mixed = devices.len() > 1 && devices.contains(&Device::Cpu);
                if mixed || (0..devices.len()).any(known) { Err(expected()) } else { Ok(Self::Only(devices)) }
            }
        }
    }
}

impl DeviceChoice {
    /// The devices asked for, or the best there is.
    ///
    /// # Errors
    /// All CUDA devices are asked for, and they cannot be counted or there are none.
    pub(crate) fn choose(&self) -> Result<Vec<Device>, NerError> {
        match self {
            Self::Only(devices) => Ok(devices.clone()),
            Self::Auto => Ok(vec![best()]),
            // With none, the first is tried all the same: its error says what is the matter.
            Self::AllCuda => Ok((0..cuda_devices()?.max(1)).map(Device::Cuda).collect()),
        }
    }
}

/// Devices as they are written: `cpu`, `cuda:0`, `cuda:0,1`.
pub(crate) fn names(devices: &[Device]) -> String {
    let names: Vec<String> = devices.iter().map(Device::to_string).collect();
    names.join(",").replace(",cuda:", ",")
}

/// Where and how a model runs, checked.
#[derive(Clone, Debug)]
pub struct DeviceConfig {
    /// Where.
    pub choice: DeviceChoice,
    /// How exact the arithmetic is.
    pub precision: Precision,
    /// Tokens of a micro-batch; `None` leaves it to the device.
    pub token_budget: Option<NonZeroUsize>,
    /// Threads of the arithmetic on a CPU, and of the tokenizer.
    pub threads: NonZeroUsize,
    /// What concerns CUDA alone.
    pub cuda: CudaSettings,
}

impl DeviceConfig {
    /// Takes what the command line says.
    pub fn check(args: DeviceArgs) -> Self {
        Self {
            choice: args.device,
            precision: args.precision,
            token_budget: args.token_budget,
            threads: args.threads.unwrap_or_else(physical_cores),
            cuda: CudaSettings {
                cache: args.cache_dir,
                memory: args.device_memory.map(|bytes| bytes.0),
                unchecked: args.unchecked_device,
                ..CudaSettings::default()
            },
        }
    }

    /// How the model runs on a device.
    pub(crate) fn setup(&self, device: Device) -> ClassifierSetup {
        let defaults = ClassifierSetup::on(device);
        ClassifierSetup {
            precision: self.precision,
            token_budget: self.token_budget.unwrap_or(defaults.token_budget),
            cuda: self.cuda.clone(),
        }
    }

    /// The first of the devices asked for, and how the model runs there: for commands that use one.
    ///
    /// # Errors
    /// As for [`DeviceChoice::choose`].
    pub(crate) fn first(&self) -> Result<(Device, ClassifierSetup), Failure> {
        let devices = self.choice.choose().map_err(of_model)?;
        let first = devices[0];
        Ok((first, self.setup(first)))
    }
}

/// Starts the model on the devices that the user asks for, or on the best there is.
///
/// # Errors
/// A device asked for is not there, or the model cannot be loaded on it.
pub(crate) fn start(
    device: &DeviceConfig,
    checkpoint: &Checkpoint,
    aggregation: Aggregation,
    decoding: Decoding,
) -> Result<(TagConfig, Tag), Failure> {
    let devices = device.choice.choose().map_err(of_model)?;
    let setup = device.setup(devices[0]);
    let tag_config = TagConfig { devices, setup, aggregation, decoding };
    let tag = Tag::start(checkpoint, &tag_config).map_err(of_model)?;
    Ok((tag_config, tag))
}

/// Has the model's arithmetic done by so many threads.
pub(crate) fn use_threads(threads: NonZeroUsize) -> Result<(), Failure> {
    pubtag_ner::use_threads(threads).map_err(of_model)
}

/// An error of the model with its exit code.
pub(crate) fn of_model(error: NerError) -> Failure {
    Failure::new(error.kind(), error)
}

/// The first CUDA device if it can be used, else the CPU; says which, and why.
fn best() -> Device {
    let cuda = Device::Cuda(0);
    match probe(cuda) {
        Ok(()) => cuda,
        Err(error) => {
            tracing::info!("device auto: cpu ({error})");
            Device::Cpu
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_written() {
        for text in ["auto", "cpu", "cuda:1", "cuda:0,2,5", "cuda:all"] {
            assert_eq!(text.parse::<DeviceChoice>().map(|choice| choice.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("cuda:0,1".parse(), Ok(DeviceChoice::Only(vec![Device::Cuda(0), Device::Cuda(1)])));
        for bad in ["", "gpu", "cuda:0,", "cuda:0,0", "cpu,0", "cuda:0,cpu", "cuda:0,cuda:1", "all"] {
            assert!(bad.parse::<DeviceChoice>().is_err(), "{bad:?}");
        }
    }
}
