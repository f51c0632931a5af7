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
mod digest;
mod download;
pub mod exit;
mod figures;
mod html;
mod processors;
mod program;
mod progress;
mod record;
pub mod report;
pub mod run;
mod settings_file;
pub mod signals;
mod tables;
pub mod telemetry;
mod terminal;
mod training;

pub use program::main;
