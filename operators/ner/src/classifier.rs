//! The model behind a trait without generics: micro-batch in, logits out.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::{Device, MicroBatch, NerError, Precision};

/// Something that scores tokens. It lives on one thread and never leaves it: GPU streams belong to threads.
pub trait TokenClassifier {
    /// Scores every token of a micro-batch.
    ///
    /// # Errors
    /// If the micro-batch does not fit the model, or the model gives no numbers.
    fn classify(&mut self, batch: &MicroBatch) -> Result<Logits, NerError>;
}

/// Makes a classifier on the thread that will own it.
pub type ClassifierFactory = Box<dyn FnOnce() -> Result<Box<dyn TokenClassifier>, NerError> + Send>;

/// The scores of a micro-batch: `[T, labels]`, row by row, all finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Logits {
    /// Number of labels: the length of a row.
    pub labels: usize,
    /// One row for each token of the micro-batch, in its order.
    pub values: Vec<f32>,
    /// What the device computed besides, to fill a shape.
    pub padding: Padding,
}

/// What a device computes besides the tokens of a micro-batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Padding {
    /// Rows of the linear layers.
    pub tokens: usize,
    /// Places in the rows of attention.
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
    /// The numbers that it computes with.
    pub precision: Precision,
    /// Tokens of the largest micro-batch; a single longer sequence is read all the same.
    pub token_budget: NonZeroUsize,
    /// What concerns CUDA alone.
    pub cuda: CudaSettings,
}

/// Settings of CUDA devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CudaSettings {
    /// The folder to keep compiled kernels in; the user's cache folder if none is named.
    pub cache: Option<PathBuf>,
    /// Bytes of the card's memory that may be used; all of it if not said.
    pub memory: Option<u64>,
    /// Gives up where memory does not suffice for the whole token budget, rather than start with less of it.
    pub whole_budget: bool,
    /// Leaves out the check against the CPU: for a driver that computes nothing.
    pub unchecked: bool,
}

impl ClassifierSetup {
    /// The defaults for a device.
    pub fn on(device: Device) -> Self {
        Self { precision: Precision::default(), token_budget: device.token_budget(), cuda: CudaSettings::default() }
    }
}

/// A shape that a device has met while warming up.
#[derive(Clone, Debug)]
pub struct Warmed {
    /// Sequences of the micro-batch.
    pub sequences: usize,
    /// Tokens of each of them.
    pub length: usize,
    /// How long it took at first: kernels are compiled and tuned, or fetched from the cache.
    pub first: Duration,
    /// How long it took again.
    pub again: Duration,
}
