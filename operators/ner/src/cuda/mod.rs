//! The model on a CUDA device: what has to be installed, where compiled kernels are cached, and how failures are detected.
//!
//! ```text
//! card: driver, NVRTC, headers, a trial kernel ─► cache ─► load ─► warm-up: every shape, twice ─► check against the CPU
//! ```
//!
//! Burn and CubeCL launch kernels on their own threads. A panic there (out of memory, for example) silently drops the
//! launches after it, and while kernels are tuned, a failed launch can pass for a slow candidate. So every micro-batch is
//! watched for unhandled panics, and all tuning is done before the first citation: the warm-up runs every possible shape,
//! and the check after it compares the tuned kernels' logits with the CPU's, in every shape.

mod cache;
mod card;
mod choices;
mod loader;
mod training;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use half::{bf16, f16};
use tracing::{info, warn};

use crate::agreement::{Agreement, Reference, tolerance};
use crate::backend::{Cuda, cuda_device, reserved_bytes};
use crate::burn_classifier::BurnClassifier;
use crate::device::CUDA_LANES;
use crate::panic_watch::PanicWatch;
use crate::shapes::Shapes;
use crate::{
    Checkpoint, ClassifierSetup, Device, Logits, MicroBatch, NerError, Precision, TokenClassifier, Warmed, kernels,
};

pub(crate) use card::{count, probe};
pub(crate) use training::train;

/// Smallest micro-batch, in tokens, when memory does not suffice for more.
const LEAST_TOKENS: usize = 1024;

/// Opens a model on a device, on the calling thread, and warms it up.
///
/// # Errors
/// If the device cannot be used or fails, or its logits disagree with the CPU's.
pub(crate) fn open(
    checkpoint: &Checkpoint,
    number: usize,
    setup: &ClassifierSetup,
) -> Result<(Box<dyn TokenClassifier>, Vec<Warmed>), NerError> {
    let (classifier, warmed) = CudaClassifier::open(checkpoint, number, setup)?;
    Ok((Box::new(classifier), warmed))
}

/// A model on a device, ready for use: all kernels compiled, logits checked.
struct CudaClassifier {
    model: Box<dyn TokenClassifier>,
    device: Device,
    /// Tokens at a time: the budget, or less if memory does not suffice.
    most_tokens: usize,
    /// The lower limit of `most_tokens`.
    least_tokens: usize,
    positions: usize,
    watch: PanicWatch,
}

impl CudaClassifier {
    fn open(checkpoint: &Checkpoint, number: usize, setup: &ClassifierSetup) -> Result<(Self, Vec<Warmed>), NerError> {
        let device = Device::Cuda(number);
        let card = probe(number).map_err(|reason| NerError::Device { device, reason })?;
        cache::keep_kernels(&card, &checkpoint.config().encoder, setup)?;
        let watch = PanicWatch::start();
        let load = match setup.precision {
            Precision::F16 => load::<f16>,
            Precision::Bf16 => load::<bf16>,
            Precision::F32 | Precision::Int8 => load::<f32>,
        };
        let model = watch.guard(device, || load(checkpoint, number))?;
        let (most_tokens, positions) = (setup.token_budget.get(), checkpoint.max_tokens().get());
        let least_tokens = if setup.cuda.whole_budget { most_tokens } else { LEAST_TOKENS };
        let mut opened = Self { model, device, most_tokens, least_tokens, positions, watch };
        let warmed = naming_kernels(opened.warm_up())?;
        opened.stay_within(setup.cuda.memory)?;
        naming_kernels(opened.check(checkpoint, setup))?;
        opened.least_tokens = LEAST_TOKENS;
        info!(%device, card = %card, precision = %setup.precision, tokens = opened.most_tokens, "model ready");
        Ok((opened, warmed))
    }

    /// Runs every shape twice: the second time, operations are fused into kernels that the first did not have.
    fn warm_up(&mut self) -> Result<Vec<Warmed>, NerError> {
        let shapes = Shapes::Listed.all(self.most_tokens, self.positions);
        info!(shapes = shapes.len(), "warming up; compiling kernels that are not cached takes minutes");
        let mut warmed = Vec::with_capacity(shapes.len());
        for lengths in shapes {
            let batch = filled(&lengths);
            let [first, again] = [self.timed(&batch)?, self.timed(&batch)?];
            warmed.push(Warmed { sequences: lengths.len(), length: lengths[0], first, again });
        }
        Ok(warmed)
    }

    fn timed(&mut self, batch: &MicroBatch) -> Result<Duration, NerError> {
        let started = Instant::now();
        self.classify(batch)?;
        Ok(started.elapsed())
    }

    /// Fails if the device needs more memory than the limit. The reservation is known for the calling thread's stream; the
    /// other streams of this device will reserve as much.
    fn stay_within(&mut self, granted: Option<u64>) -> Result<(), NerError> {
        let (Some(granted), Device::Cuda(number)) = (granted, self.device) else { return Ok(()) };
        let device = self.device;
        let failed = |message| NerError::DeviceFailed { device, message };
        let each = self.watch.guard(device, || reserved_bytes(number).map_err(failed))?;
        let reserved = each * CUDA_LANES as u64;
        if reserved <= granted {
            return Ok(());
        }
        let reason = format!(
            "the model needs {} MiB, more than the {} MiB of --device-memory; lower --token-budget (now {})",
            reserved >> 20,
            granted >> 20,
            self.most_tokens
        );
        Err(NerError::Device { device: self.device, reason })
    }

    /// Compares the device's logits with the CPU's in every shape, with short sequences among the long ones.
    fn check(&mut self, checkpoint: &Checkpoint, setup: &ClassifierSetup) -> Result<(), NerError> {
        if setup.cuda.unchecked {
            warn!(device = %self.device, "logits are not checked against the CPU's");
            return Ok(());
        }
        let shapes = Shapes::Listed.all(self.most_tokens, self.positions);
        let lengths: BTreeSet<usize> = shapes.iter().map(|lengths| lengths[0]).collect();
        let reference = Reference::new(checkpoint, lengths.into_iter().collect())?;
        let mut largest = 0.0_f32;
        for lengths in shapes {
            let agreement = reference.compare(self, lengths[0], lengths.len())?;
            if !agreement.holds(setup.precision) {
                return Err(self.disagrees(&agreement, &lengths, setup.precision));
            }
            largest = largest.max(agreement.difference);
        }
        let allowed = tolerance(setup.precision);
        info!(device = %self.device, difference = %format_args!("{largest:.1e}"), allowed, "logits agree with the CPU's");
        Ok(())
    }

    fn disagrees(&self, agreement: &Agreement, lengths: &[usize], precision: Precision) -> NerError {
        cache::log_choices();
        let reason = format!(
            "its logits disagree with the CPU's: for {} sequences of up to {} tokens, {precision} differs by {:.2e} of the \
             range, more than {:.0e}; run `pubtag selftest --device {}`",
            lengths.len(),
            lengths[0],
            agreement.difference,
            tolerance(precision),
            self.device,
        );
        NerError::Device { device: self.device, reason }
    }

    /// Runs a micro-batch in parts that fit into memory.
    fn in_parts(&mut self, batch: &MicroBatch) -> Result<Logits, NerError> {
        let mut all: Option<Logits> = None;
        for part in batch.split(self.most_tokens) {
            let Self { model, device, watch, .. } = self;
            let logits = watch.guard(*device, || model.classify(&part))?;
            match &mut all {
                None => all = Some(logits),
                Some(all) => {
                    all.values.extend(logits.values);
                    all.padding += logits.padding;
                }
            }
        }
        match all {
            Some(logits) => Ok(logits),
            None => self.model.classify(batch),
        }
    }
}

impl TokenClassifier for CudaClassifier {
    fn classify(&mut self, batch: &MicroBatch) -> Result<Logits, NerError> {
        loop {
            match self.in_parts(batch) {
                Err(NerError::OutOfMemory { .. }) if self.most_tokens > self.least_tokens => {
                    self.most_tokens /= 2;
                    warn!(device = %self.device, tokens = self.most_tokens, "out of memory; continuing with fewer tokens at a time");
                }
                result => return result,
            }
        }
    }
}

fn load<F: burn_cubecl::FloatElement>(
    checkpoint: &Checkpoint,
    number: usize,
) -> Result<Box<dyn TokenClassifier>, NerError> {
    // The backend's number type determines the precision.
    Ok(Box::new(BurnClassifier::<Cuda<F>>::load(checkpoint, cuda_device(number), kernels::Precision::F32)?))
}

/// Logs which kernels ran, if what they computed is not even finite.
fn naming_kernels<T>(result: Result<T, NerError>) -> Result<T, NerError> {
    result.inspect_err(|error| {
        if matches!(error, NerError::NotFinite) {
            cache::log_choices();
        }
    })
}

/// A micro-batch of sequences of these lengths, of a token that every vocabulary has.
fn filled(lengths: &[usize]) -> MicroBatch {
    let mut batch = MicroBatch::default();
    lengths.iter().for_each(|&length| batch.push(&vec![0; length]));
    batch
}
