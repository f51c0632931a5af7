//! The training loop.

use std::time::Instant;

use burn::module::AutodiffModule;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::backend::AutodiffBackend;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::config::TrainConfig;
use super::example::{Example, Examples};
use super::export::export;
use super::loss::{Target, negative_log_likelihood};
use super::monitor::{Monitor, StepReport};
use super::optimizer::Optimizer;
use super::schedule::Schedule;
use super::state::{Best, TrainState};
use crate::backend::NerBackend;
use crate::classifier::{Logits, Padding};
use crate::config::ModelConfig;
use crate::host::floats;
use crate::kernels;
use crate::model::{Inputs, TokenClassification};
use crate::packed::MicroBatch;
use crate::random::part_seed;
use crate::{Checkpoint, NerError};

/// Token budget for scoring the development set.
const SCORING_BUDGET: usize = 4096;

/// Fine-tunes a checkpoint on a backend; see [`fine_tune`](super::fine_tune).
pub(crate) fn train<A>(
    checkpoint: &Checkpoint,
    examples: &mut Examples<'_>,
    development: &[Example],
    config: &TrainConfig,
    state: Option<TrainState>,
    device: &A::Device,
    monitor: &mut dyn Monitor,
) -> Result<Vec<u8>, NerError>
where
    A: AutodiffBackend + NerBackend,
    A::InnerBackend: NerBackend,
    A::Device: Default,
{
    let shape = checkpoint.config();
    let mut examples = |epoch| examples(epoch).map_err(|source| NerError::Examples { epoch, source });
    let steps = steps(&mut examples, config)?;
    let mut state = state.unwrap_or_default();
    let mut weights = match state.weights.is_empty() {
        true => checkpoint.read_weights()?,
        false => checkpoint.parse_weights(&state.weights)?,
    };
    let mut trainer = Trainer::<A> {
        model: Some(TokenClassification::load(shape, &mut weights, device)),
        optimizer: Optimizer::new(config, shape.layers),
        schedule: Schedule::new(config.learning_rate, config.warmup_share, steps),
        steps,
        step: state.step,
        outside: u32::try_from(shape.labels.outside()).expect("labels are few"),
        shape,
        config,
        device,
    };
    trainer.optimizer.restore(std::mem::take(&mut state.optimizer), device);
    while state.epochs < config.epochs.get() && !given_up(&state, config) {
        let epoch = state.epochs;
        trainer.epoch(epoch, &examples(epoch)?, monitor)?;
        let verdict = monitor.epoch(epoch, &trainer.score(development)?);
        state.weights = export(shape, trainer.model())?;
        if development.is_empty() || state.best.as_ref().is_none_or(|best| verdict.score > best.score) {
            state.best = Some(Best { score: verdict.score, epoch, weights: state.weights.clone() });
        }
        (state.epochs, state.step, state.optimizer) = (epoch + 1, trainer.step, trainer.optimizer.state());
        monitor.keep(&state)?;
    }
    Ok(state.best.map(|best| best.weights).expect("there is at least one epoch"))
}

/// Whether the run should stop for lack of a better score.
fn given_up(state: &TrainState, config: &TrainConfig) -> bool {
    let since_best = state.best.as_ref().map_or(0, |best| state.epochs - 1 - best.epoch);
    config.patience.is_some_and(|patience| since_best >= patience.get())
}

/// Steps of all epochs, which the schedule needs in advance. Makes every epoch's examples once, so that errors show before
/// training starts.
fn steps(
    examples: &mut impl FnMut(usize) -> Result<Vec<Example>, NerError>,
    config: &TrainConfig,
) -> Result<usize, NerError> {
    (0..config.epochs.get()).map(|epoch| Ok(examples(epoch)?.len().div_ceil(config.batch_size.get()))).sum()
}

struct Trainer<'a, A: AutodiffBackend<InnerBackend: NerBackend>> {
    /// Absent only inside a step.
    model: Option<TokenClassification<A>>,
    optimizer: Optimizer<A::InnerBackend>,
    schedule: Schedule,
    steps: usize,
    step: usize,
    /// The label `O`.
    outside: u32,
    shape: &'a ModelConfig,
    config: &'a TrainConfig,
    device: &'a A::Device,
}

impl<A> Trainer<'_, A>
where
    A: AutodiffBackend + NerBackend,
    A::InnerBackend: NerBackend,
{
    fn model(&self) -> &TokenClassification<A> {
        self.model.as_ref().expect("a step puts the model back")
    }

    fn epoch(&mut self, epoch: usize, examples: &[Example], monitor: &mut dyn Monitor) -> Result<(), NerError> {
        let mut order: Vec<&Example> = examples.iter().collect();
        order.shuffle(&mut StdRng::seed_from_u64(part_seed(self.config.seed, epoch as u64)));
        for batch in order.chunks(self.config.batch_size.get()) {
            let report = self.learn(epoch, batch)?;
            monitor.step(&report);
        }
        Ok(())
    }

    fn learn(&mut self, epoch: usize, batch: &[&Example]) -> Result<StepReport, NerError> {
        let started = Instant::now();
        // The backend's generator has no state to save; a new seed makes each step reproducible on its own.
        A::seed(self.device, part_seed(self.config.seed ^ 0x5eed, self.step as u64));
        let parts = batch.chunks(batch.len().div_ceil(self.config.accumulation.get()));
        let mut accumulator = GradientsAccumulator::new();
        let mut loss = 0.0;
        for part in parts {
            let share = part.len() as f32 / batch.len() as f32;
            loss += self.accumulate(part, share, &mut accumulator);
        }
        if !loss.is_finite() {
            return Err(NerError::Diverged { step: self.step });
        }
        let learning_rate = self.schedule.at(self.step);
        let model = self.model.take().expect("a step puts the model back");
        let (model, gradient_norm) = self.optimizer.step(learning_rate, model, accumulator.grads());
        self.model = Some(model);
        self.step += 1;
        let tokens = batch.iter().map(|example| example.ids.len()).sum();
        let &mut Self { step, steps, .. } = self;
        Ok(StepReport { step, steps, epoch, loss, learning_rate, gradient_norm, tokens, time: started.elapsed() })
    }

    /// Adds the gradients of a part of a step's examples; returns its share of the loss.
    fn accumulate(
        &self,
        part: &[&Example],
        share: f32,
        accumulator: &mut GradientsAccumulator<TokenClassification<A>>,
    ) -> f32 {
        let model = self.model();
        let inputs = Inputs::new(&packed(part.iter().copied()), self.shape.first_position, A::SHAPES, self.device);
        let (outside, labels) = (self.outside, self.shape.labels.count());
        let targets: Vec<Option<Target<'_>>> =
            part.iter().flat_map(|example| example.targets(outside, labels)).collect();
        if targets.iter().all(Option::is_none) {
            return 0.0;
        }
        let weights = self.config.label_weights.as_deref();
        let loss = negative_log_likelihood(model.forward(&inputs), &targets, weights) * share;
        let value = loss.clone().into_data().convert::<f32>().iter::<f32>().sum();
        accumulator.accumulate(model, GradientsParams::from_grads(loss.backward(), model));
        value
    }

    /// The logits of each example, in order.
    fn score(&self, examples: &[Example]) -> Result<Vec<Logits>, NerError> {
        let mut model = self.model().valid().prepare(kernels::Precision::F32);
        let mut scored = Vec::with_capacity(examples.len());
        let mut rest = examples;
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(fitting(rest));
            rest = later;
            let inputs = Inputs::new(
                &packed(batch),
                self.shape.first_position,
                <A::InnerBackend as NerBackend>::SHAPES,
                self.device,
            );
            let values = floats(model.forward(&inputs));
            let labels = self.shape.labels.count();
            let mut rows = values.chunks_exact(labels);
            for example in batch {
                let values = rows.by_ref().take(example.ids.len()).flatten().copied().collect();
                scored.push(Logits { labels, values, padding: Padding::default() });
            }
        }
        Ok(scored)
    }
}

/// How many of the first examples fit into one micro-batch; at least one.
fn fitting(examples: &[Example]) -> usize {
    let mut tokens = 0;
    let fits = |example: &&Example| {
        tokens += example.ids.len();
        tokens <= SCORING_BUDGET
    };
    examples.iter().take_while(fits).count().max(1)
}

fn packed<'a>(examples: impl IntoIterator<Item = &'a Example>) -> MicroBatch {
    let mut batch = MicroBatch::default();
    for example in examples {
        batch.push(&example.ids);
    }
    batch
}
