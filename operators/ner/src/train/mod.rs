//! Training: examples in, a checkpoint in the Hugging Face layout out.
//!
//! ```text
//! base directory ─► base (adds a head) ─► Trainer: forward ─► loss ─► gradients ─► optimizer ─► export ─► directory
//!                                            └── Objective ──┘
//! ```
//!
//! There are two objectives: token classification ([`fine_tune()`]), and masked language modelling ([`pretrain()`]), which gives
//! fine-tuning a better base.
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
mod language_model;
mod lexicon;
mod loss;
mod masked;
mod masking;
mod monitor;
mod objective;
mod optimizer;
mod pretrain;
mod schedule;
mod state;
mod tagging;
mod teacher;
mod trainer;

pub use base::{with_head, with_masked_head};
pub use config::TrainConfig;
pub use example::{Example, Examples, LabelTokens, Labelling};
pub use export::to_f16;
pub use fine_tune::fine_tune;
pub use language_model::LanguageModel;
pub use lexicon::Lexicon;
pub use masked::MaskedScore;
pub use masking::{MaskedWindow, Masking};
pub use monitor::{Monitor, StepReport, Verdict};
#[cfg(feature = "cuda")]
pub(crate) use objective::Objective;
pub use pretrain::pretrain;
pub use state::TrainState;
pub use teacher::{Teacher, check_teachers};
#[cfg(feature = "cuda")]
pub(crate) use trainer::train as train_on;
