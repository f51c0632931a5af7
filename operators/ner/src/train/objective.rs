//! What a model is trained for.

use burn::module::AutodiffModule;
use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;

use crate::NerError;
use crate::config::EncoderConfig;
use crate::model::Inputs;
use crate::packed::MicroBatch;

/// Token budget for scoring development examples.
const SCORING_BUDGET: usize = 4096;

/// A model and its loss. The [trainer](super::trainer) does the rest.
pub(crate) trait Objective<A: AutodiffBackend> {
    /// The model under training.
    type Model: AutodiffModule<A>;
    /// What it learns from.
    type Example: Window;
    /// What the monitor scores an epoch by.
    type Scores: ?Sized;

    /// The model's encoder.
    fn encoder(&self) -> &EncoderConfig;

    /// Loads the model: from a saved state, or else from its checkpoint.
    ///
    /// # Errors
    /// The weights cannot be read, or are not those of the model.
    fn load(&self, saved: Option<&[u8]>, device: &A::Device) -> Result<Self::Model, NerError>;

    /// The model as a safetensors file.
    ///
    /// # Errors
    /// If the file's header cannot be written, which only an absurdly large model can cause.
    fn export(&self, model: &Self::Model) -> Result<Vec<u8>, NerError>;

    /// The mean loss of some examples, whose windows are the inputs; `None` if there is nothing to learn from them.
    fn loss(&self, model: &Self::Model, inputs: &Inputs<A>, examples: &[&Self::Example]) -> Option<Tensor<A, 1>>;

    /// What the model says of the development examples.
    fn score(&self, model: &Self::Model, development: &[Self::Example], device: &A::Device) -> Box<Self::Scores>;
}

/// An example is read as one window.
pub(crate) trait Window {
    /// Its token ids, special tokens included.
    fn ids(&self) -> &[u32];
}

/// The windows of some examples as one micro-batch.
pub(super) fn packed<'a, E: Window + 'a>(examples: impl IntoIterator<Item = &'a E>) -> MicroBatch {
    let mut batch = MicroBatch::default();
    for example in examples {
        batch.push(example.ids());
    }
    batch
}

/// Examples in groups that are scored together: as many as fit into a micro-batch, at least one.
pub(super) fn scored_together<E: Window>(examples: &[E]) -> impl Iterator<Item = &[E]> {
    let mut rest = examples;
    std::iter::from_fn(move || {
        let (batch, later) = rest.split_at(fitting(rest).min(rest.len()));
        rest = later;
        (!batch.is_empty()).then_some(batch)
    })
}

fn fitting<E: Window>(examples: &[E]) -> usize {
    let mut tokens = 0;
    let fits = |example: &&E| {
        tokens += example.ids().len();
        tokens <= SCORING_BUDGET
    };
    examples.iter().take_while(fits).count().max(1)
}
