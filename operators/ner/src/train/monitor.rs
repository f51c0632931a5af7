//! Progress of a run.

use std::time::Duration;

use super::state::TrainState;
use crate::NerError;
use crate::classifier::Logits;

/// The result of one optimizer step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Steps so far, including this one.
    pub step: usize,
    /// Steps of the whole run, unless it ends early.
    pub steps: usize,
    /// The epoch, from 0.
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

/// The score of an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// Quality on the development set; higher is better.
    pub score: f64,
}

/// Follows a run and scores its epochs by what the model says of the development examples, which depends on the objective.
pub trait Monitor<S: ?Sized = [Logits]> {
    /// Called after every step.
    fn step(&mut self, report: &StepReport);

    /// Scores the model at the end of an epoch: for token classification, given the logits of each development example in
    /// order.
    fn epoch(&mut self, epoch: usize, development: &S) -> Verdict;

    /// Saves what a later run needs to continue from the end of an epoch.
    ///
    /// # Errors
    /// If the state cannot be written; this ends the run.
    fn keep(&mut self, _state: &TrainState) -> Result<(), NerError> {
        Ok(())
    }
}
