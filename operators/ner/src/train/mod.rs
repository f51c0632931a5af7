//! Fine-tuning: examples in, a checkpoint in the Hugging Face layout out.
//!
//! ```text
//! base directory ─► base (adds a head) ─► Trainer: forward ─► loss ─► gradients ─► optimizer ─► export ─► directory
//! ```
//!
//! Training runs the same model code as tagging, under Burn's `Autodiff`. On the same machine, device and number of threads,
//! the same settings and examples give the same weights, bit for bit: examples are shuffled by a seeded generator, and the
//! backend's own generator is seeded anew for every step.
//!
//! A [`Teacher`] is a trained model whose probabilities another model learns on texts without annotations.

mod base;
mod config;
mod example;
mod export;
mod fine_tune;
mod lexicon;
mod loss;
mod monitor;
mod optimizer;
mod schedule;
mod state;
mod teacher;
mod trainer;

pub use base::with_head;
pub use config::TrainConfig;
pub use example::{Example, Examples, LabelTokens, Labelling};
pub use export::to_f16;
pub use fine_tune::fine_tune;
pub use lexicon::Lexicon;
pub use monitor::{Monitor, StepReport, Verdict};
pub use state::TrainState;
pub use teacher::{Teacher, check_teachers};
#[cfg(feature = "cuda")]
pub(crate) use trainer::train as train_on;
