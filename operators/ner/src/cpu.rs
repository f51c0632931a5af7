//! The model on the CPU.

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::backend::{CPU, Cpu};
use crate::burn_classifier::BurnClassifier;
use crate::kernels::{self, Isa};
use crate::model_threads::guarded;
use crate::{
    Checkpoint, ClassifierFactory, ClassifierSetup, Device, Logits, MicroBatch, NerError, Precision, TokenClassifier,
};

/// The model with threads of its own. Workers share the weights.
struct Worker {
    model: BurnClassifier<Cpu>,
    threads: ThreadPool,
}

impl TokenClassifier for Worker {
    fn classify(&mut self, batch: &MicroBatch) -> Result<Logits, NerError> {
        let Self { model, threads } = self;
        threads.install(|| model.classify(batch))
    }
}

/// Loads a checkpoint once, on all threads of the process, for workers that share the weights.
///
/// # Errors
/// See [`open`].
pub(crate) fn workers(checkpoint: &Checkpoint, setup: &ClassifierSetup) -> Result<Vec<ClassifierFactory>, NerError> {
    let model = guarded(|| open(checkpoint, setup.precision))?;
    let size = setup.cpu.threads_per_worker.get();
    let worker = |number: usize| {
        let model = model.for_another_thread();
        let name = move |thread: usize| format!("model-{}", number * size + thread);
        Box::new(move || {
            let threads = ThreadPoolBuilder::new().num_threads(size).thread_name(name).build();
            let threads = threads.map_err(|error| NerError::Spawn(std::io::Error::other(error)))?;
            Ok(Box::new(Worker { model, threads }) as Box<dyn TokenClassifier>)
        }) as ClassifierFactory
    };
    Ok((0..setup.cpu.workers.get()).map(worker).collect())
}

/// Loads a checkpoint.
///
/// # Errors
/// If the kernels lack the precision, or the weights cannot be read or do not fit the configuration.
pub(crate) fn open(checkpoint: &Checkpoint, precision: Precision) -> Result<BurnClassifier<Cpu>, NerError> {
    BurnClassifier::load(checkpoint, CPU, arithmetic(precision)?)
}

/// The kernels' arithmetic of a precision.
///
/// # Errors
/// If there is none, or this processor lacks the instructions for it.
pub(crate) fn arithmetic(precision: Precision) -> Result<kernels::Precision, NerError> {
    let missing = |reason| Err(NerError::Precision { precision, device: Device::Cpu, reason });
    let arithmetic = match precision {
        Precision::F32 => kernels::Precision::F32,
        Precision::Bf16 => kernels::Precision::Bf16,
        Precision::Int8 => kernels::Precision::Int8,
        Precision::F16 => return missing("the CPU supports f32, bf16 and int8"),
    };
    match Isa::detect().precisions().any(|known| known == arithmetic) {
        true => Ok(arithmetic),
        false => missing("this processor lacks the instructions for it (AVX512_BF16)"),
    }
}
