//! The model behind a trait without generics: micro-batch in, logits out.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::backend::{self, NerBackend};
use crate::config::ModelConfig;
use crate::model::{Inputs, PreparedModel, TokenClassification};
use crate::packed::MicroBatch;
use crate::shapes::Shapes;
use crate::{Checkpoint, Device, NerError, Precision, kernels, precision};

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

/// Makes a factory for a checkpoint on a device.
///
/// # Errors
/// If the device cannot be used or lacks the precision.
pub fn classifier(
    checkpoint: &Checkpoint,
    device: Device,
    setup: ClassifierSetup,
) -> Result<ClassifierFactory, NerError> {
    device.probe()?;
    precision::probe(setup.precision, device)?;
    let checkpoint = checkpoint.clone();
    Ok(Box::new(move || match device {
        Device::Cpu => Ok(Box::new(backend::open_cpu(&checkpoint, setup.precision)?)),
        Device::Cuda(number) => open_cuda(&checkpoint, number, &setup),
    }))
}

#[cfg(feature = "cuda")]
fn open_cuda(
    checkpoint: &Checkpoint,
    number: usize,
    setup: &ClassifierSetup,
) -> Result<Box<dyn TokenClassifier>, NerError> {
    let (classifier, _) = crate::cuda::CudaClassifier::open(checkpoint, number, setup)?;
    Ok(Box::new(classifier))
}

#[cfg(not(feature = "cuda"))]
fn open_cuda(_: &Checkpoint, number: usize, _: &ClassifierSetup) -> Result<Box<dyn TokenClassifier>, NerError> {
    Err(NerError::Device { device: Device::Cuda(number), reason: crate::device::WITHOUT_CUDA.to_owned() })
}

/// A model on a backend.
pub(crate) struct BurnClassifier<B: NerBackend> {
    config: ModelConfig,
    model: PreparedModel<B>,
    shapes: Shapes,
    scratch: B::Scratch,
    device: B::Device,
}

impl<B: NerBackend> BurnClassifier<B> {
    /// Loads a checkpoint onto a device.
    pub(crate) fn load(
        checkpoint: &Checkpoint,
        device: B::Device,
        precision: kernels::Precision,
    ) -> Result<Self, NerError> {
        let config = checkpoint.config().clone();
        let mut weights = checkpoint.read_weights()?;
        let model = TokenClassification::load(&config, &mut weights, &device).prepare(precision);
        Ok(Self { config, model, shapes: B::SHAPES, scratch: B::Scratch::default(), device })
    }

    fn check(&self, batch: &MicroBatch) -> Result<(), NerError> {
        let (vocab_size, max_tokens) = (self.config.vocab_size, self.config.max_tokens().get());
        if let Some(&id) = batch.ids().iter().find(|&&id| id as usize >= vocab_size) {
            return Err(NerError::UnknownToken { id, vocab_size });
        }
        match batch.sequences().map(|sequence| sequence.len()).find(|&tokens| tokens > max_tokens) {
            Some(tokens) => Err(NerError::TooLong { tokens, max_tokens }),
            None => Ok(()),
        }
    }
}

impl<B: NerBackend> TokenClassifier for BurnClassifier<B> {
    fn classify(&mut self, batch: &MicroBatch) -> Result<Logits, NerError> {
        let labels = self.config.labels.count();
        if batch.is_empty() {
            return Ok(Logits { labels, values: Vec::new(), padding: Padding::default() });
        }
        self.check(batch)?;
        let inputs = Inputs::new(batch, self.config.first_position, self.shapes, &self.device);
        let logits = self.model.forward(&inputs, &mut self.scratch).into_data().convert::<f32>();
        let mut values: Vec<f32> = logits.into_vec().expect("just converted to f32");
        let tokens = values.len() / labels - batch.token_count();
        let padding = Padding { tokens, places: inputs.sequences.padding() };
        values.truncate(batch.token_count() * labels);
        if values.iter().all(|value| value.is_finite()) {
            Ok(Logits { labels, values, padding })
        } else {
            Err(NerError::NotFinite)
        }
    }
}

#[cfg(test)]
mod tests {
    use burn_flex::{Flex, FlexDevice};

    use super::*;

    fn tiny() -> BurnClassifier<Flex> {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/tiny-bert");
        BurnClassifier::load(&Checkpoint::open(directory).unwrap(), FlexDevice, kernels::Precision::F32).unwrap()
    }

    fn batch(sequences: &[&[u32]]) -> MicroBatch {
        let mut batch = MicroBatch::default();
        sequences.iter().for_each(|ids| batch.push(ids));
        batch
    }

    #[test]
    fn shapes_listed_for_a_gpu_change_no_logit() {
        let batch = batch(&[&[2, 40, 41, 42, 3], &[2, 99, 3], &[2, 7, 8, 9, 10, 11, 12, 3]]);
        let mut model = tiny();
        let exact = model.classify(&batch).unwrap();
        model.shapes = Shapes::Listed;
        let listed = model.classify(&batch).unwrap();
        assert_eq!((exact.padding.tokens, listed.padding.tokens), (0, 1024 - 16));
        assert_eq!(exact.values.len(), 16 * 3);
        for (a, b) in exact.values.iter().zip(&listed.values) {
            assert!((a - b).abs() < 1e-5, "{a} and {b}");
        }
    }

    #[test]
    fn a_foreign_tokenizers_ids_are_an_error_and_no_panic() {
        let error = tiny().classify(&batch(&[&[2, 5000, 3]])).unwrap_err();
        assert!(matches!(error, NerError::UnknownToken { id: 5000, vocab_size: 171 }), "{error}");
    }

    #[test]
    fn a_sequence_longer_than_the_model_is_an_error_and_no_panic() {
        let error = tiny().classify(&batch(&[&[7; 65]])).unwrap_err();
        assert!(matches!(error, NerError::TooLong { tokens: 65, max_tokens: 64 }), "{error}");
    }

    #[test]
    fn nothing_in_gives_nothing_out() {
        assert!(tiny().classify(&batch(&[])).unwrap().values.is_empty());
    }
}
