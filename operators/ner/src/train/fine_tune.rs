//! Fine-tuning on a device.

use super::config::TrainConfig;
use super::example::{Example, Examples};
use super::monitor::Monitor;
use super::state::TrainState;
use super::tagging::Tagging;
use super::trainer::train;
use crate::backend::{CPU, Cpu, Training};
use crate::{Checkpoint, Device, NerError, cuda, open};

/// Fine-tunes a checkpoint on a device.
///
/// Returns the weights of the best epoch as a safetensors file in 32-bit floats; without development examples, those of
/// the last epoch. With a `state`, continues where the run that kept it stopped, with the same result.
///
/// # Errors
/// If the device cannot be used, the weights cannot be read or do not fit the configuration, the examples of an epoch
/// cannot be made, the loss is not finite, or the state does not belong to this model.
pub fn fine_tune(
    checkpoint: &Checkpoint,
    examples: &mut Examples<'_>,
    development: &[Example],
    config: &TrainConfig,
    state: Option<TrainState>,
    device: Device,
    monitor: &mut dyn Monitor,
) -> Result<Vec<u8>, NerError> {
    let objective = Tagging { checkpoint, label_weights: config.label_weights.as_deref() };
    open::probe(device)?;
    match device {
        Device::Cpu => train::<Training<Cpu>, _>(&objective, examples, development, config, state, &CPU, monitor),
        Device::Cuda(number) => cuda::train(&objective, examples, development, config, state, number, monitor),
    }
}
