//! Settings of a fine-tuning run.

use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Settings of a fine-tuning run. The defaults suit a small encoder and a corpus of a few hundred abstracts.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainConfig {
    /// Passes over the training examples.
    pub epochs: NonZeroUsize,
    /// Examples per optimizer step.
    pub batch_size: NonZeroUsize,
    /// Parts per step; splitting saves memory, and gradients are added up.
    pub accumulation: NonZeroUsize,
    /// Peak learning rate, at the end of the warm-up.
    pub learning_rate: f64,
    /// Share of all steps in which the learning rate rises from 0; after that it falls to 0.
    pub warmup_share: f64,
    /// Decoupled weight decay of matrices; biases and LayerNorm parameters do not decay.
    pub weight_decay: f32,
    /// Maximum norm of the gradients, over all parameters; larger ones are scaled down.
    pub clip_norm: f32,
    /// Learning rate of each encoder layer relative to the one above; 1 for equal rates.
    pub layer_decay: f64,
    /// Weight of each label in the loss; `None` for equal weights.
    pub label_weights: Option<Vec<f32>>,
    /// Stop after this many epochs without a better score on the development set.
    pub patience: Option<NonZeroUsize>,
    /// Seed of every random choice.
    pub seed: u64,
    /// CUDA only: directory for compiled kernels [default: the user's cache directory].
    pub kernel_cache: Option<PathBuf>,
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
            kernel_cache: None,
        }
    }
}
