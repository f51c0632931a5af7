//! A model on a backend, as a classifier.

use crate::backend::NerBackend;
use crate::classifier::{Logits, Padding, TokenClassifier};
use crate::config::ModelConfig;
use crate::host::floats;
use crate::kernels;
use crate::model::{Inputs, PreparedEncoder, TokenClassification};
use crate::packed::MicroBatch;
use crate::shapes::Shapes;
use crate::{Checkpoint, NerError};

/// A model on a backend.
pub(crate) struct BurnClassifier<B: NerBackend> {
    config: ModelConfig,
    model: PreparedEncoder<B>,
    shapes: Shapes,
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
        Ok(Self { config, model, shapes: B::SHAPES, device })
    }

    /// The same model for another thread: shares the weights, but has working memory of its own.
    pub(crate) fn for_another_thread(&self) -> Self {
        Self {
            config: self.config.clone(),
            model: self.model.for_another_thread(),
            shapes: self.shapes,
            device: self.device.clone(),
        }
    }

    fn check(&self, batch: &MicroBatch) -> Result<(), NerError> {
        let (vocab_size, max_tokens) = (self.config.encoder.vocab_size, self.config.encoder.max_tokens().get());
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
        let inputs = Inputs::new(batch, self.config.encoder.first_position, self.shapes, &self.device);
        let mut values = floats(self.model.forward(&inputs));
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
    fn padded_gpu_shapes_do_not_change_the_logits() {
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
    fn token_ids_outside_the_vocabulary_are_an_error() {
        let error = tiny().classify(&batch(&[&[2, 5000, 3]])).unwrap_err();
        assert!(matches!(error, NerError::UnknownToken { id: 5000, vocab_size: 171 }), "{error}");
    }

    #[test]
    fn a_sequence_longer_than_the_models_positions_is_an_error() {
        let error = tiny().classify(&batch(&[&[7; 65]])).unwrap_err();
        assert!(matches!(error, NerError::TooLong { tokens: 65, max_tokens: 64 }), "{error}");
    }

    #[test]
    fn an_empty_micro_batch_gives_no_logits() {
        assert!(tiny().classify(&batch(&[])).unwrap().values.is_empty());
    }
}
