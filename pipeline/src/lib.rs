//! pubtag reads PubMed citations, finds entities with a transformer model and writes Parquet.
//!
//! ```text
//! source ─► recall ─► tokenize ─► tag ─► abbreviations ─► remember ─► write     run::run() wires this, top to bottom
//! ```
//!
//! [`cli`] is the command line, `settings` merges it with a settings file, and [`config`] is the checked result; [`run`]
//! wires the operators, [`device`] chooses where the model runs, and [`report`] is what a run leaves behind. [`tagger`] is
//! the middle of a run for texts in memory. [`commands`] has one file per subcommand.

mod allocator;
mod bundled;
mod cached;
pub mod cli;
pub mod commands;
mod committed;
pub mod config;
pub mod device;
mod diagnostics;
mod digest;
mod download;
pub mod exit;
mod figures;
mod from_cli;
mod html;
mod limits;
mod lock;
mod model;
mod night;
mod nlm;
mod outputs;
mod plan;
mod processors;
mod program;
mod progress;
mod provenance;
mod record;
pub mod report;
pub mod run;
mod runtime;
mod settings;
mod shard;
pub mod signals;
pub mod tagger;
pub mod telemetry;
mod terminal;
mod tokenizer;
mod training;
mod worker;

pub use program::{main, run_arguments};
