//! The model behind a plain trait: micro-batch in, logits out.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::{Device, MicroBatch, NerError, Precision};

/// Scores tokens. A classifier stays on the thread that made it, because GPU streams belong to threads.
pub trait TokenClassifier {
    /// Scores the tokens of a micro-batch that are to be [scored](MicroBatch::scored).
    ///
    /// # Errors
    /// If the micro-batch does not fit the model, or a logit is NaN or infinite.
    fn classify(&mut self, batch: &MicroBatch) -> Result<Logits, NerError>;
}

/// Makes a classifier on the thread that owns it.
pub type ClassifierFactory = Box<dyn FnOnce() -> Result<Box<dyn TokenClassifier>, NerError> + Send>;

/// The scores of a micro-batch: `[T, labels]`, row by row, all finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Logits {
    /// Number of labels, the length of a row.
    pub labels: usize,
    /// One row for each token of the micro-batch, in its order; of tokens that are not scored, it may be anything finite.
    pub values: Vec<f32>,
    /// What the device computed besides, to fill a shape.
    pub padding: Padding,
}

/// Padding that a device computes along with a micro-batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Padding {
    /// Padding rows in the linear layers.
    pub tokens: usize,
    /// Padding positions in attention.
    pub places: usize,
}

impl std::ops::AddAssign for Padding {
    fn add_assign(&mut self, other: Self) {
        self.tokens += other.tokens;
        self.places += other.places;
    }
}

impl Logits {
    /// One row for each token.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.labels)
    }
}

/// How a model runs on its device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassifierSetup {
    /// The arithmetic.
    pub precision: Precision,
    /// Maximum tokens per micro-batch; a single longer sequence is still accepted.
    pub token_budget: NonZeroUsize,
    /// CPU only.
    pub cpu: CpuSettings,
    /// CUDA only.
    pub cuda: CudaSettings,
}

/// How the model is spread over the cores of a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuSettings {
    /// Micro-batches at a time. Workers share the weights, and each has working memory of its own.
    pub workers: NonZeroUsize,
    /// Threads among which a worker divides its micro-batch.
    pub threads_per_worker: NonZeroUsize,
}

impl CpuSettings {
    /// As many workers as the threads suffice for, at least one.
    pub fn spread(threads: NonZeroUsize, threads_per_worker: NonZeroUsize) -> Self {
        let threads_per_worker = threads_per_worker.min(threads);
        let workers = NonZeroUsize::new(threads.get() / threads_per_worker).unwrap_or(NonZeroUsize::MIN);
        Self { workers, threads_per_worker }
    }
}

/// One worker with all threads of the process.
impl Default for CpuSettings {
    fn default() -> Self {
        let threads = NonZeroUsize::new(rayon::current_num_threads()).unwrap_or(NonZeroUsize::MIN);
        Self { workers: NonZeroUsize::MIN, threads_per_worker: threads }
    }
}

/// Settings of CUDA devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CudaSettings {
    /// Directory for compiled kernels [default: the user's cache directory].
    pub cache: Option<PathBuf>,
    /// Memory limit per device in bytes [default: all].
    pub memory: Option<u64>,
    /// Fail if memory does not suffice for the whole token budget, instead of lowering the budget.
    pub whole_budget: bool,
    /// Skip the check against the CPU, for a driver that computes nothing.
    pub unchecked: bool,
}

impl ClassifierSetup {
    /// The defaults for a device.
    pub fn on(device: Device) -> Self {
        let precision = Precision::default();
        Self {
            precision,
            token_budget: device.token_budget(precision),
            cpu: CpuSettings::default(),
            cuda: CudaSettings::default(),
        }
    }
}

/// A shape that was run during warm-up.
#[derive(Clone, Debug)]
pub struct Warmed {
    /// Sequences of the micro-batch.
    pub sequences: usize,
    /// Tokens per sequence.
    pub length: usize,
    /// Duration of the first run: kernels are compiled and tuned, or loaded from the cache.
    pub first: Duration,
    /// Duration of the second run.
    pub again: Duration,
}
