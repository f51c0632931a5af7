//! pubtag: reads PubMed citations, finds entities with a transformer model, writes Parquet.
//!
//! ```text
//! source ─► tokenize ─► tag ─► abbreviations ─► write          run::run() is this line, top to bottom
//! ```
//!
//! The command line is in [`cli`], its checked form in [`config`]; [`run`] wires the operators, [`device`] chooses where
//! the model runs, [`report`] says what happened. Each subcommand is a file of [`commands`].

mod allocator;
mod bundled;
pub mod cli;
pub mod commands;
pub mod config;
pub mod device;
mod diagnostics;
mod digest;
mod download;
pub mod exit;
mod figures;
mod from_cli;
mod html;
mod processors;
mod program;
mod progress;
mod provenance;
mod record;
pub mod report;
pub mod run;
mod runtime;
mod settings;
pub mod signals;
mod tables;
pub mod telemetry;
mod terminal;
mod tokenizer;
mod training;

pub use program::main;
