//! Token classification as an objective.

use burn::module::AutodiffModule;
use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;

use super::example::Example;
use super::export::token_classifier;
use super::loss::{Target, negative_log_likelihood};
use super::objective::{Objective, Window, packed, scored_together};
use crate::backend::NerBackend;
use crate::classifier::{Logits, Padding};
use crate::config::EncoderConfig;
use crate::host::floats;
use crate::kernels;
use crate::model::{Inputs, TokenClassification};
use crate::{Checkpoint, NerError};

/// A checkpoint learns the labels of tokens.
pub(crate) struct Tagging<'a> {
    pub(crate) checkpoint: &'a Checkpoint,
    /// Weight of each label in the loss; `None` for equal weights.
    pub(crate) label_weights: Option<&'a [f32]>,
}

impl<A> Objective<A> for Tagging<'_>
where
    A: AutodiffBackend + NerBackend,
    A::InnerBackend: NerBackend,
{
    type Model = TokenClassification<A>;
    type Example = Example;
    type Scores = [Logits];

    fn encoder(&self) -> &EncoderConfig {
        &self.checkpoint.config().encoder
    }

    fn load(&self, saved: Option<&[u8]>, device: &A::Device) -> Result<Self::Model, NerError> {
        let mut weights = match saved {
            None => self.checkpoint.read_weights()?,
            Some(bytes) => self.checkpoint.parse_weights(bytes)?,
        };
        Ok(TokenClassification::load(self.checkpoint.config(), &mut weights, device))
    }

    fn export(&self, model: &Self::Model) -> Result<Vec<u8>, NerError> {
        token_classifier(self.checkpoint.config(), model)
    }

    fn loss(&self, model: &Self::Model, inputs: &Inputs<A>, examples: &[&Example]) -> Option<Tensor<A, 1>> {
        let labels = self.checkpoint.labels();
        let (outside, count) = (u32::try_from(labels.outside()).expect("labels are few"), labels.count());
        let targets: Vec<Option<Target<'_>>> =
            examples.iter().flat_map(|example| example.targets(outside, count)).collect();
        let learns = targets.iter().any(Option::is_some);
        learns.then(|| negative_log_likelihood(model.forward(inputs), &targets, self.label_weights))
    }

    /// The logits of each example, in order.
    fn score(&self, model: &Self::Model, development: &[Example], device: &A::Device) -> Box<[Logits]> {
        let mut model = model.valid().prepare(kernels::Precision::F32);
        let labels = self.checkpoint.labels().count();
        let mut scored = Vec::with_capacity(development.len());
        for batch in scored_together(development) {
            let first_position = self.checkpoint.config().encoder.first_position;
            let shapes = <A::InnerBackend as NerBackend>::SHAPES;
            let values = floats(model.forward(&Inputs::new(&packed(batch), first_position, shapes, device)));
            let mut rows = values.chunks_exact(labels);
            for example in batch {
                let values = rows.by_ref().take(example.ids.len()).flatten().copied().collect();
                scored.push(Logits { labels, values, padding: Padding::default() });
            }
        }
        scored.into()
    }
}

impl Window for Example {
    fn ids(&self) -> &[u32] {
        &self.ids
    }
}
