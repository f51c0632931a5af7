//! What follows a run.

use std::time::Duration;

use super::state::TrainState;
use crate::NerError;
use crate::classifier::Logits;

/// What one optimiser step did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Steps so far, this one included.
    pub step: usize,
    /// Steps of the whole run, unless it ends early.
    pub steps: usize,
    /// The pass over the examples that the step belongs to, from 0.
    pub epoch: usize,
    /// Mean loss of the step's examples.
    pub loss: f32,
    /// The learning rate of the head.
    pub learning_rate: f64,
    /// Norm of all gradients before clipping.
    pub gradient_norm: f32,
    /// Tokens of the step, special tokens included.
    pub tokens: usize,
    /// How long the step took.
    pub time: Duration,
}

/// What a monitor thinks of an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// How good the model is on the development set; higher is better.
    pub score: f64,
}

/// Watches a run and scores its epochs.
pub trait Monitor {
    /// Hears of every step.
    fn step(&mut self, report: &StepReport);

    /// Scores the model at the end of an epoch by its logits for each development example, in their order.
    fn epoch(&mut self, epoch: usize, development: &[Logits]) -> Verdict;

    /// Keeps what a later run needs to go on from the end of an epoch.
    ///
    /// # Errors
    /// What keeps the state from being written; it ends the run.
    fn keep(&mut self, _state: &TrainState) -> Result<(), NerError> {
        Ok(())
    }
}
