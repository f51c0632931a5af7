//! What a fine-tuning run can be told.

use std::num::NonZeroUsize;

/// Settings of a fine-tuning run. The defaults suit a small encoder on a corpus of a few hundred abstracts.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainConfig {
    /// Passes over the training examples.
    pub epochs: NonZeroUsize,
    /// Examples of one optimiser step.
    pub batch_size: NonZeroUsize,
    /// Parts into which a step's examples are split to save memory; their gradients are added up.
    pub accumulation: NonZeroUsize,
    /// The highest learning rate: at the end of the warm-up.
    pub learning_rate: f64,
    /// The share of all steps in which the learning rate rises from 0; then it falls to 0.
    pub warmup_share: f64,
    /// Decoupled weight decay of matrices; biases and LayerNorm parameters have none.
    pub weight_decay: f32,
    /// Gradients are scaled down to this norm, taken over all parameters.
    pub clip_norm: f32,
    /// Each encoder layer below the head learns at this fraction of the rate of the one above; 1 for none.
    pub layer_decay: f64,
    /// How much each label weighs in the loss; `None` weighs all alike.
    pub label_weights: Option<Vec<f32>>,
    /// Ends the run after so many epochs without a better score on the development set.
    pub patience: Option<NonZeroUsize>,
    /// Where every random choice comes from.
    pub seed: u64,
}

impl Default for TrainConfig {
    fn default() -> Self {
        let count = |number| NonZeroUsize::new(number).expect("a literal above 0");
        Self {
            epochs: count(4),
            batch_size: count(16),
            accumulation: NonZeroUsize::MIN,
            learning_rate: 1.5e-4,
            warmup_share: 0.1,
            weight_decay: 0.01,
            clip_norm: 1.0,
            layer_decay: 1.0,
            label_weights: None,
            patience: None,
            seed: 1,
        }
    }
}
