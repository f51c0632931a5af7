//! Masked language modelling as an objective.

use burn::module::AutodiffModule;
use burn::tensor::activation::log_softmax;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Int, Tensor, TensorData};

use super::export::masked_language;
use super::language_model::LanguageModel;
use super::masking::MaskedWindow;
use super::objective::{Objective, Window, packed, scored_together};
use crate::NerError;
use crate::backend::NerBackend;
use crate::config::EncoderConfig;
use crate::host::{floats, index};
use crate::kernels;
use crate::model::{Inputs, MaskedLanguage};
use crate::shapes::Shapes;

/// A model learns to guess masked tokens.
pub(crate) struct Masked<'a> {
    pub(crate) model: &'a LanguageModel,
}

/// How well a model guesses masked tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MaskedScore {
    /// Number of masked tokens.
    pub tokens: usize,
    /// Mean of −log p of the right token. Its exponential is the perplexity.
    pub loss: f64,
    /// Share of tokens that were guessed right.
    pub accuracy: f64,
}

impl<A> Objective<A> for Masked<'_>
where
    A: AutodiffBackend + NerBackend,
    A::InnerBackend: NerBackend,
{
    type Model = MaskedLanguage<A>;
    type Example = MaskedWindow;
    type Scores = MaskedScore;

    fn encoder(&self) -> &EncoderConfig {
        self.model.encoder()
    }

    fn load(&self, saved: Option<&[u8]>, device: &A::Device) -> Result<Self::Model, NerError> {
        Ok(MaskedLanguage::load(self.model.encoder(), &mut self.model.weights(saved)?, device))
    }

    fn export(&self, model: &Self::Model) -> Result<Vec<u8>, NerError> {
        masked_language(self.model.encoder(), model)
    }

    fn loss(&self, model: &Self::Model, inputs: &Inputs<A>, examples: &[&MaskedWindow]) -> Option<Tensor<A, 1>> {
        let targets = Targets::of(examples.iter().copied());
        (!targets.tokens.is_empty()).then(|| {
            let logits = model.forward(inputs, targets.places(A::SHAPES, &inputs.ids.device()));
            -targets.log_likelihoods(logits).mean()
        })
    }

    fn score(&self, model: &Self::Model, development: &[MaskedWindow], device: &A::Device) -> Box<MaskedScore> {
        let MaskedLanguage { encoder, head } = model.valid();
        let words = encoder.embeddings.words.val();
        let mut encoder = encoder.prepare(None, kernels::Precision::F32);
        let (mut tokens, mut loss, mut right) = (0, 0.0, 0);
        for batch in scored_together(development) {
            let targets = Targets::of(batch);
            if targets.tokens.is_empty() {
                continue;
            }
            let first_position = self.model.encoder().first_position;
            let shapes = <A::InnerBackend as NerBackend>::SHAPES;
            let hidden = encoder.forward(&Inputs::new(&packed(batch), first_position, shapes, device));
            let logits = head.forward(hidden.select(0, targets.places(shapes, device)), words.clone());
            let said: Vec<i64> = logits.clone().argmax(1).into_data().iter::<i64>().collect();
            right += said.iter().zip(&targets.tokens).filter(|(said, token)| **said == i64::from(**token)).count();
            tokens += targets.tokens.len();
            loss -= floats(targets.log_likelihoods(logits)).into_iter().map(f64::from).sum::<f64>();
        }
        let count = tokens.max(1) as f64;
        Box::new(MaskedScore { tokens, loss: loss / count, accuracy: right as f64 / count })
    }
}

/// The masked tokens of a micro-batch.
struct Targets {
    /// Their places in the run.
    places: Vec<i32>,
    /// What is there.
    tokens: Vec<i32>,
}

impl Targets {
    fn of<'a>(examples: impl IntoIterator<Item = &'a MaskedWindow>) -> Self {
        let (mut places, mut tokens, mut start) = (Vec::new(), Vec::new(), 0);
        for example in examples {
            places.extend(example.targets.iter().map(|(place, _)| index(start + place)));
            tokens.extend(example.targets.iter().map(|(_, id)| index(*id as usize)));
            start += example.ids().len();
        }
        Self { places, tokens }
    }

    /// The places on a device: `[masked]`, with others at the end where shapes are listed.
    fn places<B: Backend>(&self, shapes: Shapes, device: &B::Device) -> Tensor<B, 1, Int> {
        let mut places = self.places.clone();
        places.resize(shapes.tokens(places.len()), 0);
        indices(places, device)
    }

    /// log p of the tokens that are there, `[masked]`, given the logits of the places.
    fn log_likelihoods<B: Backend>(&self, logits: Tensor<B, 2>) -> Tensor<B, 1> {
        let mut tokens = self.tokens.clone();
        tokens.resize(logits.dims()[0], 0);
        let tokens = indices(tokens, &logits.device()).unsqueeze_dim(1);
        let all: Tensor<B, 1> = log_softmax(logits, 1).gather(1, tokens).squeeze_dim(1);
        all.narrow(0, 0, self.tokens.len())
    }
}

fn indices<B: Backend>(values: Vec<i32>, device: &B::Device) -> Tensor<B, 1, Int> {
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burn_flex::{Flex, FlexDevice};
    use serde::Deserialize;

    use super::*;
    use crate::backend::Training;

    type Train = Training<Flex>;

    /// A case of `reference.json`, which `tests/peers/make_tiny.py` wrote with `transformers`.
    #[derive(Deserialize)]
    struct Case {
        ids: Vec<u32>,
        targets: Vec<(usize, u32)>,
        loss: f32,
        logits: Vec<Vec<f32>>,
    }

    fn directory() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/tiny-bert-masked"))
    }

    fn cases() -> Vec<Case> {
        serde_json::from_slice(&std::fs::read(directory().join("reference.json")).unwrap()).unwrap()
    }

    fn windows() -> Vec<MaskedWindow> {
        cases().into_iter().map(|Case { ids, targets, .. }| MaskedWindow { ids, targets }).collect()
    }

    /// The model without dropout.
    fn model<B: NerBackend<Device = FlexDevice>>() -> MaskedLanguage<B> {
        let files = LanguageModel::open(directory()).unwrap();
        let mut config = files.encoder().clone();
        (config.hidden_dropout, config.attention_dropout) = (0.0, 0.0);
        MaskedLanguage::load(&config, &mut files.weights(None).unwrap(), &FlexDevice)
    }

    fn inputs<B: NerBackend<Device = FlexDevice>>(windows: &[MaskedWindow]) -> Inputs<B> {
        Inputs::new(&packed(windows), 0, B::SHAPES, &FlexDevice)
    }

    /// The mean loss of all cases together.
    fn loss(model: &MaskedLanguage<Train>) -> Tensor<Train, 1> {
        let (files, windows) = (LanguageModel::open(directory()).unwrap(), windows());
        let objective = Masked { model: &files };
        objective.loss(model, &inputs(&windows), &windows.iter().collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn logits_are_those_of_transformers() {
        let windows = windows();
        let places = Targets::of(&windows).places(Shapes::Exact, &FlexDevice);
        let ours = floats(model::<Flex>().forward(&inputs(&windows), places));
        let theirs: Vec<f32> = cases().into_iter().flat_map(|case| case.logits).flatten().collect();
        assert_eq!(ours.len(), theirs.len());
        let worst = ours.iter().zip(theirs).map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{worst:e}");
    }

    #[test]
    fn the_loss_in_training_and_in_scoring_is_that_of_transformers() {
        let count: usize = windows().iter().map(|window| window.targets.len()).sum();
        let sum: f32 = cases().iter().map(|case| case.loss * case.targets.len() as f32).sum();
        let theirs = f64::from(sum / count as f32);
        let ours = f64::from(loss(&model()).into_scalar());
        assert!((ours - theirs).abs() < 1e-5, "{ours} and {theirs}");

        let files = LanguageModel::open(directory()).unwrap();
        let score = Objective::<Train>::score(&Masked { model: &files }, &model(), &windows(), &FlexDevice);
        assert_eq!(score.tokens, count);
        assert!((score.loss - theirs).abs() < 1e-5, "{} and {theirs}", score.loss);
        let right = |case: &Case| {
            let best = |row: &Vec<f32>| row.iter().enumerate().max_by(|one, other| one.1.total_cmp(other.1)).unwrap().0;
            case.logits.iter().zip(&case.targets).filter(|(row, (_, id))| best(row) == *id as usize).count()
        };
        let accuracy = cases().iter().map(right).sum::<usize>() as f64 / count as f64;
        assert!((score.accuracy - accuracy).abs() < 1e-9, "{} and {accuracy}", score.accuracy);
    }

    #[test]
    fn places_that_fill_a_listed_shape_change_nothing() {
        let (windows, model) = (windows(), model::<Flex>());
        let targets = Targets::of(&windows);
        let [exact, listed] = [Shapes::Exact, Shapes::Listed].map(|shapes| {
            let logits = model.forward(&inputs(&windows), targets.places(shapes, &FlexDevice));
            (logits.dims()[0], floats(targets.log_likelihoods(logits)))
        });
        assert_eq!((exact.0, listed.0), (targets.tokens.len(), 1024));
        let worst = exact.1.iter().zip(&listed.1).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
        assert!(exact.1.len() == listed.1.len() && worst < 1e-6, "{worst:e}");
    }

    #[test]
    fn the_table_of_words_learns_as_input_and_as_decoder() {
        const STEP: f32 = 1e-2;
        let exact = model::<Train>();
        let table = exact.encoder.embeddings.words.val();
        let [_, width] = table.dims();
        let gradient = floats(table.grad(&loss(&exact).backward()).expect("a gradient"));
        let values = floats(table);
        let moved = |at: usize, by: f32| {
            let mut model = model::<Train>();
            let mut values = values.clone();
            values[at] += by;
            let shape = [values.len() / width, width];
            model.encoder.embeddings.words =
                model.encoder.embeddings.words.map(|_| Tensor::from_data(TensorData::new(values, shape), &FlexDevice));
            loss(&model).into_scalar()
        };
        // A token that is read and is a target, one that is a target but masked, one that is only read, one that is neither.
        let windows = windows();
        let read = |id: &u32| windows.iter().any(|window| window.ids.contains(id));
        let target = |id: &u32| windows.iter().any(|window| window.targets.iter().any(|(_, token)| token == id));
        for wanted in [(true, true), (false, true), (true, false), (false, false)] {
            let id = (5..171).find(|id| (read(id), target(id)) == wanted).expect("the fixture has each kind");
            for column in [0, width - 1] {
                let at = id as usize * width + column;
                let slope = (moved(at, STEP) - moved(at, -STEP)) / (2.0 * STEP);
                let difference = (gradient[at] - slope).abs();
                assert!(difference < 2e-3 * (1.0 + slope.abs()), "{wanted:?}: {} but {slope}", gradient[at]);
            }
        }
    }
}
