//! `pubtag evaluate`.

use std::path::PathBuf;

use clap::Args;
use pubtag_corpus::CorpusSpec;

use super::corpus::CorpusFormat;
use super::device::DeviceArgs;
use super::numbers::whole;
use super::reading::{Abbreviations, Aggregation, ContextLimit, Decode};
use super::train::Labels;

/// Arguments of `pubtag evaluate`.
#[derive(Args, Clone, Debug)]
pub struct EvaluateArgs {
    /// Hugging Face directory of a token classifier [default: the bundled model].
    #[arg(long, short, value_name = "DIR", env = "PUBTAG_MODEL")]
    pub model: Option<PathBuf>,

    /// Corpora to evaluate on; several are compared in one table. Options follow after colons, as for `pubtag train`:
    /// `types=Disease,Gene` sets the types to score [default: those of its mentions], `map=Modifier=Disease,Cell=CellLine`
    /// renames categories. Types that the model does not know are not scored.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE[:OPTION…]")]
    pub gold: Vec<CorpusSpec>,

    /// Format of the corpora [default: detected from content].
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub from: Option<CorpusFormat>,

    /// How to treat the four categories of the NCBI Disease corpus.
    #[arg(long, value_enum, default_value_t)]
    pub labels: Labels,

    /// Words of consecutive sentences that the model reads at a time, or `document` for all of them, as in `pubtag run`
    /// [default: what the model was trained with; if its config.json does not say, `document`, or 100 for a corpus
    /// without text].
    #[arg(long, alias = "context-words", value_name = "WORDS|document")]
    pub context: Option<ContextLimit>,

    /// How to choose tags.
    #[arg(long, value_enum, default_value_t)]
    pub decode: Decode,

    /// How to combine the tags of a word's sub-tokens, as `transformers` does.
    #[arg(long, value_enum, default_value_t)]
    pub aggregation: Aggregation,

    /// Tag abbreviations by their definitions, as `pubtag run` does; only in corpora that have the documents' text.
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub abbreviations: Abbreviations,

    /// Where and how the model runs.
    #[command(flatten)]
    pub device: DeviceArgs,

    /// Number of errors to list for a single corpus; --json lists all.
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = whole::<usize>)]
    pub errors: usize,

    /// Write every token with its expected and its predicted tag to a file, in conlleval's format.
    #[arg(long, value_name = "FILE")]
    pub predictions: Option<PathBuf>,

    /// Replace the predictions file if it exists.
    #[arg(long, requires = "predictions")]
    pub overwrite: bool,

    /// Allow evaluating on a file that the model was trained on.
    #[arg(long)]
    pub allow_training_data: bool,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
