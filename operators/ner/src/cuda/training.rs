//! Training on a CUDA device.

use super::{cache, probe};
use crate::backend::{Cuda, Training, cuda_device};
use crate::panic_watch::PanicWatch;
use crate::train::{Examples, Monitor, Objective, StepReport, TrainConfig, TrainState, Verdict, train_on};
use crate::{ClassifierSetup, Device, NerError};

/// Trains a model; see [`fine_tune`](crate::train::fine_tune).
///
/// # Errors
/// Also if the device fails; the epoch in which it did is not kept.
pub(crate) fn train<O: Objective<Training<Cuda>>>(
    objective: &O,
    examples: &mut Examples<'_, O::Example>,
    development: &[O::Example],
    config: &TrainConfig,
    state: Option<TrainState>,
    number: usize,
    monitor: &mut dyn Monitor<O::Scores>,
) -> Result<Vec<u8>, NerError> {
    let device = Device::Cuda(number);
    let mut setup = ClassifierSetup::on(device);
    setup.cuda.cache.clone_from(&config.kernel_cache);
    let card = probe(number).map_err(|reason| NerError::Device { device, reason })?;
    cache::keep_kernels_of_training(&card, objective.encoder(), &setup)?;
    let watch = PanicWatch::start();
    let monitor = &mut Watched { monitor, watch: &watch, device };
    let card = cuda_device(number);
    watch.guard(device, || {
        train_on::<Training<Cuda>, _>(objective, examples, development, config, state, &card, monitor)
    })
}

/// Keeps no epoch in which a thread of the device panicked, since launches were dropped then.
struct Watched<'a, S: ?Sized> {
    monitor: &'a mut dyn Monitor<S>,
    watch: &'a PanicWatch,
    device: Device,
}

impl<S: ?Sized> Monitor<S> for Watched<'_, S> {
    fn step(&mut self, report: &StepReport) {
        self.monitor.step(report);
    }

    fn epoch(&mut self, epoch: usize, development: &S) -> Verdict {
        self.monitor.epoch(epoch, development)
    }

    fn keep(&mut self, state: &TrainState) -> Result<(), NerError> {
        self.watch.check(self.device)?;
        self.monitor.keep(state)
    }
}
