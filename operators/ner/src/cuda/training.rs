//! Training on a CUDA device.

use super::{cache, probe};
use crate::backend::{Cuda, Training, cuda_device};
use crate::panic_watch::PanicWatch;
use crate::train::{Example, Examples, Monitor, StepReport, TrainConfig, TrainState, Verdict, train_on};
use crate::{Checkpoint, ClassifierSetup, Device, Logits, NerError};

/// Fine-tunes a checkpoint; see [`fine_tune`](crate::train::fine_tune).
///
/// # Errors
/// Also if the device fails; the epoch in which it did is not kept.
pub(crate) fn train(
    checkpoint: &Checkpoint,
    examples: &mut Examples<'_>,
    development: &[Example],
    config: &TrainConfig,
    state: Option<TrainState>,
    number: usize,
    monitor: &mut dyn Monitor,
) -> Result<Vec<u8>, NerError> {
    let device = Device::Cuda(number);
    let mut setup = ClassifierSetup::on(device);
    setup.cuda.cache.clone_from(&config.kernel_cache);
    let card = probe(number).map_err(|reason| NerError::Device { device, reason })?;
    cache::keep_kernels_of_training(&card, checkpoint.config(), &setup)?;
    let watch = PanicWatch::start();
    let monitor = &mut Watched { monitor, watch: &watch, device };
    let card = cuda_device(number);
    watch.guard(device, || train_on::<Training<Cuda>>(checkpoint, examples, development, config, state, &card, monitor))
}

/// Keeps no epoch in which a thread of the device panicked, since launches were dropped then.
struct Watched<'a> {
    monitor: &'a mut dyn Monitor,
    watch: &'a PanicWatch,
    device: Device,
}

impl Monitor for Watched<'_> {
    fn step(&mut self, report: &StepReport) {
        self.monitor.step(report);
    }

    fn epoch(&mut self, epoch: usize, development: &[Logits]) -> Verdict {
        self.monitor.epoch(epoch, development)
    }

    fn keep(&mut self, state: &TrainState) -> Result<(), NerError> {
        self.watch.check(self.device)?;
        self.monitor.keep(state)
    }
}
