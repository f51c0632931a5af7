//! Masked language modelling on a device.

use super::config::TrainConfig;
use super::example::Examples;
use super::language_model::LanguageModel;
use super::masked::{Masked, MaskedScore};
use super::masking::MaskedWindow;
use super::monitor::Monitor;
use super::state::TrainState;
use super::trainer::train;
use crate::backend::{CPU, Cpu, Training};
use crate::{Device, NerError, cuda, open};

/// Goes on with the pretraining of a language model on a device; as [`fine_tune`](super::fine_tune()).
///
/// # Errors
/// As [`fine_tune`](super::fine_tune()).
pub fn pretrain(
    model: &LanguageModel,
    examples: &mut Examples<'_, MaskedWindow>,
    development: &[MaskedWindow],
    config: &TrainConfig,
    state: Option<TrainState>,
    device: Device,
    monitor: &mut dyn Monitor<MaskedScore>,
) -> Result<Vec<u8>, NerError> {
    let objective = Masked { model };
    open::probe(device)?;
    match device {
        Device::Cpu => train::<Training<Cpu>, _>(&objective, examples, development, config, state, &CPU, monitor),
        Device::Cuda(number) => cuda::train(&objective, examples, development, config, state, number, monitor),
    }
}
