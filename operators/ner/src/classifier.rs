//! The model behind a trait without generics: micro-batch in, logits out.

use crate::backend::{self, NerBackend};
use crate::config::ModelConfig;
use crate::model::{Inputs, PreparedModel, TokenClassification};
use crate::packed::MicroBatch;
use crate::shapes::Shapes;
use crate::{Checkpoint, Device, NerError, Precision, precision};

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
    /// Tokens that the device computed besides those of the micro-batch, to fill a shape.
    pub padding: usize,
}

impl Logits {
    /// One row for each token.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.labels)
    }
}

/// Makes a factory for a checkpoint on a device, in arithmetic of a precision.
///
/// # Errors
/// If the device cannot be used or lacks the precision. What is wrong with the weights shows when the factory is called.
pub fn classifier(
    checkpoint: &Checkpoint,
    device: Device,
    precision: Precision,
) -> Result<ClassifierFactory, NerError> {
    device.probe()?;
    precision::probe(precision, device)?;
    let checkpoint = checkpoint.clone();
    Ok(Box::new(move || backend::open(&checkpoint, device, precision)))
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
    pub(crate) fn load(checkpoint: &Checkpoint, device: B::Device, precision: Precision) -> Result<Self, NerError> {
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
            return Ok(Logits { labels, values: Vec::new(), padding: 0 });
        }
        self.check(batch)?;
        let inputs = Inputs::new(batch, self.config.first_position, self.shapes, &self.device);
        let logits = self.model.forward(&inputs, &mut self.scratch).into_data().convert::<f32>();
        let mut values: Vec<f32> = logits.into_vec().expect("just converted to f32");
        let padding = values.len() / labels - batch.token_count();
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
        BurnClassifier::load(&Checkpoint::open(directory).unwrap(), FlexDevice, Precision::F32).unwrap()
    }

    fn batch(sequences: &[&[u32]]) -> MicroBatch {
        let mut batch = MicroBatch::default();
        sequences.iter().for_each(|ids| batch.push(ids));
        batch
    }

    #[test]
    fn shapes_rounded_for_a_gpu_change_no_logit() {
        let batch = batch(&[&[2, 40, 41, 42, 3], &[2, 99, 3], &[2, 7, 8, 9, 10, 11, 12, 3]]);
        let mut model = tiny();
        let exact = model.classify(&batch).unwrap();
        model.shapes = Shapes::Rounded;
        let rounded = model.classify(&batch).unwrap();
        assert_eq!((exact.padding, rounded.padding), (0, 256 - 16));
        assert_eq!(exact.values.len(), 16 * 3);
        for (a, b) in exact.values.iter().zip(&rounded.values) {
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
