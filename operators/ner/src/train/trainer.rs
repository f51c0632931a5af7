//! The training loop.

use std::time::Instant;

use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::backend::AutodiffBackend;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::config::TrainConfig;
use super::example::Examples;
use super::monitor::{Monitor, StepReport};
use super::objective::{Objective, Window, packed};
use super::optimizer::Optimizer;
use super::schedule::Schedule;
use super::state::{Best, TrainState};
use crate::NerError;
use crate::backend::NerBackend;
use crate::model::Inputs;
use crate::random::part_seed;

/// Trains a model on a backend; see [`fine_tune`](super::fine_tune).
pub(crate) fn train<A, O>(
    objective: &O,
    examples: &mut Examples<'_, O::Example>,
    development: &[O::Example],
    config: &TrainConfig,
    state: Option<TrainState>,
    device: &A::Device,
    monitor: &mut dyn Monitor<O::Scores>,
) -> Result<Vec<u8>, NerError>
where
    A: AutodiffBackend + NerBackend,
    A::InnerBackend: NerBackend,
    O: Objective<A>,
{
    let mut examples = |epoch| examples(epoch).map_err(|source| NerError::Examples { epoch, source });
    let steps = steps(&mut examples, config)?;
    let mut state = state.unwrap_or_default();
    let saved = (!state.weights.is_empty()).then_some(state.weights.as_slice());
    let mut trainer = Trainer::<A, O> {
        model: Some(objective.load(saved, device)?),
        optimizer: Optimizer::new(config, objective.encoder().layers),
        schedule: Schedule::new(config.learning_rate, config.warmup_share, steps),
        steps,
        step: state.step,
        objective,
        config,
        device,
    };
    trainer.optimizer.restore(std::mem::take(&mut state.optimizer), device);
    while state.epochs < config.epochs.get() && !given_up(&state, config) {
        let epoch = state.epochs;
        trainer.epoch(epoch, &examples(epoch)?, monitor)?;
        let verdict = monitor.epoch(epoch, &objective.score(trainer.model(), development, device));
        state.weights = objective.export(trainer.model())?;
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
fn steps<E>(
    examples: &mut impl FnMut(usize) -> Result<Vec<E>, NerError>,
    config: &TrainConfig,
) -> Result<usize, NerError> {
    (0..config.epochs.get()).map(|epoch| Ok(examples(epoch)?.len().div_ceil(config.batch_size.get()))).sum()
}

struct Trainer<'a, A: AutodiffBackend<InnerBackend: NerBackend>, O: Objective<A>> {
    objective: &'a O,
    /// Absent only inside a step.
    model: Option<O::Model>,
    optimizer: Optimizer<A::InnerBackend>,
    schedule: Schedule,
    steps: usize,
    step: usize,
    config: &'a TrainConfig,
    device: &'a A::Device,
}

impl<A, O> Trainer<'_, A, O>
where
    A: AutodiffBackend + NerBackend,
    A::InnerBackend: NerBackend,
    O: Objective<A>,
{
    fn model(&self) -> &O::Model {
        self.model.as_ref().expect("a step puts the model back")
    }

    fn epoch(
        &mut self,
        epoch: usize,
        examples: &[O::Example],
        monitor: &mut dyn Monitor<O::Scores>,
    ) -> Result<(), NerError> {
        let mut order: Vec<&O::Example> = examples.iter().collect();
        order.shuffle(&mut StdRng::seed_from_u64(part_seed(self.config.seed, epoch as u64)));
        for batch in order.chunks(self.config.batch_size.get()) {
            let report = self.learn(epoch, batch)?;
            monitor.step(&report);
        }
        Ok(())
    }

    fn learn(&mut self, epoch: usize, batch: &[&O::Example]) -> Result<StepReport, NerError> {
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
        let tokens = batch.iter().map(|example| example.ids().len()).sum();
        let &mut Self { step, steps, .. } = self;
        Ok(StepReport { step, steps, epoch, loss, learning_rate, gradient_norm, tokens, time: started.elapsed() })
    }

    /// Adds the gradients of a part of a step's examples; returns its share of the loss.
    fn accumulate(&self, part: &[&O::Example], share: f32, accumulator: &mut GradientsAccumulator<O::Model>) -> f32 {
        let model = self.model();
        let first_position = self.objective.encoder().first_position;
        let inputs = Inputs::new(&packed(part.iter().copied()), first_position, A::SHAPES, self.device);
        let Some(loss) = self.objective.loss(model, &inputs, part) else { return 0.0 };
        let loss = loss * share;
        let value = loss.clone().into_data().convert::<f32>().iter::<f32>().sum();
        accumulator.accumulate(model, GradientsParams::from_grads(loss.backward(), model));
        value
    }
}
