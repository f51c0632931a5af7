//! Options of `pubtag train` and `pubtag pretrain`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::device::DeviceChoice;
use super::numbers::{Fraction, NotNegative, Positive, whole};

/// How to train. Serialized as part of the arguments of a command.
#[derive(Args, Clone, Debug, Serialize)]
pub struct TrainingArgs {
    /// Number of epochs.
    #[arg(long, default_value = "4", value_name = "N", value_parser = whole::<NonZeroUsize>)]
    pub epochs: NonZeroUsize,

    /// Windows per optimizer step.
    #[arg(long, default_value = "16", value_name = "N", value_parser = whole::<NonZeroUsize>)]
    pub batch_size: NonZeroUsize,

    /// Split each step into this many parts to save memory.
    #[arg(long, default_value = "1", value_name = "N", value_parser = whole::<NonZeroUsize>)]
    pub accumulation: NonZeroUsize,

    /// Peak learning rate, reached at the end of the warm-up.
    #[arg(long, default_value_t = Positive(1.5e-4), value_name = "RATE")]
    pub learning_rate: Positive,

    /// Share of all steps spent warming up; the learning rate then falls to 0.
    #[arg(long, default_value_t = Fraction(0.1), value_name = "SHARE")]
    pub warmup: Fraction,

    /// Decoupled weight decay of matrices.
    #[arg(long, default_value_t = NotNegative(0.01), value_name = "DECAY")]
    pub weight_decay: NotNegative,

    /// Clip gradients to this norm.
    #[arg(long, default_value_t = Positive(1.0), value_name = "NORM")]
    pub clip_norm: Positive,

    /// Multiply the learning rate by this factor from each layer to the one below.
    #[arg(long, default_value_t = Positive(1.0), value_name = "FACTOR")]
    pub layer_decay: Positive,

    /// Stop after this many epochs without a better development score.
    #[arg(long, value_name = "N", value_parser = whole::<NonZeroUsize>)]
    pub patience: Option<NonZeroUsize>,

    /// Random seed.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = whole::<u64>)]
    pub seed: u64,

    /// Number format of the saved weights.
    #[arg(long, value_enum, default_value_t)]
    #[serde(skip)]
    pub dtype: SavedType,

    /// Replace the output directory if it contains a model trained by pubtag.
    #[arg(long)]
    #[serde(skip)]
    pub overwrite: bool,

    /// Device to train on: auto, cpu, cuda or cuda:N.
    #[arg(long, default_value_t, value_name = "DEVICE")]
    #[serde(skip)]
    pub device: DeviceChoice,

    /// Threads [default: number of available physical cores].
    #[arg(long, value_name = "N", value_parser = whole::<NonZeroUsize>)]
    #[serde(skip)]
    pub threads: Option<NonZeroUsize>,

    /// Directory for compiled CUDA kernels [default: pubtag in the user's cache directory].
    #[arg(long, value_name = "DIR", env = "PUBTAG_CACHE_DIR")]
    #[serde(skip)]
    pub cache_dir: Option<PathBuf>,
}

/// Number formats of saved weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SavedType {
    /// 32 bits, as trained.
    #[default]
    F32,
    /// Rounded to 16 bits, at half the size.
    F16,
}
