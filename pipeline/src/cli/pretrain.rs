//! `pubtag pretrain`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::context_words::ContextWords;
use super::numbers::Share;
use super::training::TrainingArgs;

/// Arguments of `pubtag pretrain`. Serialized like those of `pubtag train`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct PretrainArgs {
    /// Texts: files, directories, quoted globs or URLs, as for `pubtag run`. Leave out the texts of test sets.
    #[arg(value_name = "INPUT")]
    #[serde(skip)]
    pub inputs: Vec<String>,

    /// Read settings from a TOML or YAML file, named like these options. Options on the command line take precedence.
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// Hugging Face directory of the BERT model to go on with. Its head for masked language modelling is kept; without one it
    /// gets a new one.
    #[arg(long, value_name = "DIR")]
    #[serde(skip)]
    pub base: Option<PathBuf>,

    /// Directory to write the model to, in the Hugging Face layout; `pubtag train --base` takes it.
    #[arg(long, short, value_name = "DIR")]
    #[serde(skip)]
    pub output: Option<PathBuf>,

    /// Words of consecutive sentences per context: a number, or a range to draw the length of each context from. A longer
    /// sentence is a context of its own.
    #[arg(long, default_value = "200", value_name = "N|MIN..MAX")]
    pub context_words: ContextWords,

    /// Share of the tokens to mask. Whole words are masked, others in each epoch.
    #[arg(long, default_value_t = Share(0.15), value_name = "SHARE")]
    pub mask: Share,

    /// Share of the documents to hold out: each epoch is scored on them, with the same masks each time, and the one with the
    /// lowest loss is kept; 0 keeps the last.
    #[arg(long, default_value_t = Share(0.02), value_name = "SHARE")]
    pub held_out: Share,

    /// How to train.
    #[command(flatten)]
    #[serde(flatten)]
    pub training: TrainingArgs,
}
