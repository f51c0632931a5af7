//! Which device the model runs on.

use std::num::NonZeroUsize;

use pubtag_ner::{
    Aggregation, Checkpoint, ClassifierSetup, CpuSettings, CudaSettings, Decoding, Device, NerError, Precision, Tag,
    TagConfig, cuda_devices, probe,
};

use crate::cli::{DeviceArgs, DeviceChoice};
use crate::exit::Failure;
use crate::processors::physical_cores;

/// The devices to use.
///
/// # Errors
/// All CUDA devices are requested, and they cannot be counted.
pub(crate) fn choose(choice: &DeviceChoice) -> Result<Vec<Device>, NerError> {
    match choice {
        DeviceChoice::Cpu => Ok(vec![Device::Cpu]),
        DeviceChoice::Cuda(numbers) => Ok(numbers.iter().copied().map(Device::Cuda).collect()),
        DeviceChoice::Auto => Ok(vec![best()]),
        // If there are none, the first is tried anyway: its error says why it is missing.
        DeviceChoice::AllCuda => Ok((0..cuda_devices()?.max(1)).map(Device::Cuda).collect()),
    }
}

/// Devices in one word: `cpu`, `cuda:0`, `cuda:0,1`.
pub(crate) fn names(devices: &[Device]) -> String {
    let names: Vec<String> = devices.iter().map(Device::to_string).collect();
    names.join(",").replace(",cuda:", ",")
}

/// Where and how a model runs, checked.
#[derive(Clone, Debug)]
pub struct DeviceConfig {
    /// The device or devices.
    pub choice: DeviceChoice,
    /// Precision of the arithmetic.
    pub precision: Precision,
    /// Tokens per micro-batch [default: that of device and precision].
    pub token_budget: Option<NonZeroUsize>,
    /// Threads for inference on a CPU, and for tokenizing.
    pub threads: NonZeroUsize,
    /// How those of inference are spread over micro-batches.
    pub cpu: CpuSettings,
    /// Settings for CUDA.
    pub cuda: CudaSettings,
}

impl DeviceConfig {
    /// Settings from the command line.
    pub fn check(args: DeviceArgs) -> Self {
        let threads = args.threads.unwrap_or_else(physical_cores);
        Self {
            choice: args.device,
            precision: args.precision.into(),
            token_budget: args.token_budget,
            threads,
            cpu: CpuSettings::spread(threads, args.threads_per_worker),
            cuda: CudaSettings {
                cache: args.cache_dir,
                memory: args.device_memory.map(|bytes| bytes.0),
                unchecked: args.unchecked_device,
                ..CudaSettings::default()
            },
        }
    }

    /// Settings of the model on a device.
    pub(crate) fn setup(&self, device: Device) -> ClassifierSetup {
        ClassifierSetup {
            precision: self.precision,
            token_budget: self.token_budget.unwrap_or_else(|| device.token_budget(self.precision)),
            cpu: self.cpu,
            cuda: self.cuda.clone(),
        }
    }

    /// The first of the devices, and the settings of the model there: for commands that use only one.
    ///
    /// # Errors
    /// See [`choose`].
    pub(crate) fn first(&self) -> Result<(Device, ClassifierSetup), Failure> {
        let devices = choose(&self.choice)?;
        let first = devices[0];
        Ok((first, self.setup(first)))
    }
}

/// Starts the model on the requested devices, or on the best available one.
///
/// # Errors
/// A device is missing, or the model cannot be loaded on it.
pub(crate) fn start(
    device: &DeviceConfig,
    checkpoint: &Checkpoint,
    aggregation: Aggregation,
    decoding: Decoding,
) -> Result<(TagConfig, Tag), Failure> {
    let devices = choose(&device.choice)?;
    let setup = device.setup(devices[0]);
    let tag_config = TagConfig { devices, setup, aggregation, decoding };
    let tag = Tag::start(checkpoint, &tag_config)?;
    Ok((tag_config, tag))
}

/// Sets the number of threads for inference.
pub(crate) fn use_threads(threads: NonZeroUsize) -> Result<(), Failure> {
    Ok(pubtag_ner::use_threads(threads)?)
}

/// The first CUDA device if it works, otherwise the CPU; logs why.
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
