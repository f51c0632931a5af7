//! `pubtag convert`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::corpus::CorpusFormat;
use super::numbers::whole;

/// Arguments of `pubtag convert`.
#[derive(Args, Debug)]
pub struct ConvertArgs {
    /// Corpus to convert: a file, or for brat a file or its directory. For NeMo, either of its two files.
    #[arg(value_name = "IN")]
    pub input: PathBuf,

    /// Output format.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub to: CorpusFormat,

    /// Output file; a directory for NeMo and brat.
    #[arg(long, short, value_name = "OUT")]
    pub output: PathBuf,

    /// Input format [default: detected from content].
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub from: Option<CorpusFormat>,

    /// Maximum words per sentence in NeMo output; longer sentences are split outside of mentions.
    #[arg(long, value_name = "WORDS", value_parser = whole::<NonZeroUsize>)]
    pub max_length: Option<NonZeroUsize>,

    /// Replace existing files.
    #[arg(long)]
    pub overwrite: bool,
}
