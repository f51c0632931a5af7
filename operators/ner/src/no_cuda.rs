//! What takes the place of CUDA in a build without it: errors that say so.

use crate::train::{Examples, Monitor, TrainConfig, TrainState};
use crate::{Checkpoint, ClassifierSetup, Device, NerError, TokenClassifier, Warmed};

/// Why there is no such device.
const REASON: &str = "this build has no CUDA support; use --device cpu, or build with --features cuda";

/// Fails: no card can be used.
pub(crate) fn probe(_: usize) -> Result<(), String> {
    Err(REASON.to_owned())
}

/// Fails: no card can be seen.
pub(crate) fn count() -> Result<usize, String> {
    Err(REASON.to_owned())
}

/// Fails: no model can be opened on a card.
pub(crate) fn open(
    _: &Checkpoint,
    number: usize,
    _: &ClassifierSetup,
) -> Result<(Box<dyn TokenClassifier>, Vec<Warmed>), NerError> {
    Err(missing(number))
}

/// Fails: nothing can be trained on a card.
pub(crate) fn train<O, E, S: ?Sized>(
    _: &O,
    _: &mut Examples<'_, E>,
    _: &[E],
    _: &TrainConfig,
    _: Option<TrainState>,
    number: usize,
    _: &mut dyn Monitor<S>,
) -> Result<Vec<u8>, NerError> {
    Err(missing(number))
}

/// The error for a card.
fn missing(number: usize) -> NerError {
    NerError::Device { device: Device::Cuda(number), reason: REASON.to_owned() }
}
