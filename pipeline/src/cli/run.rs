//! `pubtag run`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use pubtag_store::Address;

use super::amounts::{Tolerance, duration};
use super::device::DeviceArgs;
use super::numbers::whole;
use super::reading::{Abbreviations, Aggregation, ContextLimit, Decode};
use super::shard::Shard;
use super::store::{StoreArgs, address};

/// Arguments of `pubtag run`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Exit codes: 0 success · 2 usage · 65 data (too many rejects, quarantined files, counts unlike NLM's) · 70 \
                        internal error · 75 transient error, retry · 78 configuration or device · 130/143 signal"
)]
pub struct RunArgs {
    /// Files, directories, quoted globs, URLs of object stores (s3://, gs://, az://), or `-` for standard input: PubMed
    /// XML, nbib, JSONL, CSV, TSV or Parquet. All except Parquet may be gzipped.
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<String>,

    /// Tag only a part of the inputs: those whose file name hashes to I, from 0 to N-1. Every file is in one shard, and stays
    /// in it when files are added.
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,

    /// How the inputs are tagged, and where to.
    #[command(flatten)]
    pub options: RunOptions,
}

/// Options of `pubtag run` that `pubtag worker` has, too.
#[derive(Args, Clone, Debug)]
pub struct RunOptions {
    /// Read settings from a TOML or YAML file, named like these options. Options on the command line take precedence.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Output: a directory, or a prefix in an object store (s3://, gs://, az://). An existing output is continued:
    /// committed inputs are not tagged again.
    #[arg(long, short, value_name = "DIR|URL", value_parser = address())]
    pub output: Option<Address>,

    /// Options of object stores.
    #[command(flatten)]
    pub store: StoreArgs,

    /// Hugging Face directory of a token classifier (config.json, model.safetensors, tokenizer.json or vocab.txt)
    /// [default: the bundled model for diseases].
    #[arg(long, short, value_name = "DIR", env = "PUBTAG_MODEL")]
    pub model: Option<PathBuf>,

    /// Where and how the model runs.
    #[command(flatten)]
    pub device: DeviceArgs,

    /// How to choose tags.
    #[arg(long, value_enum, default_value_t)]
    pub decode: Decode,

    /// How to combine the tags of a word's sub-tokens, as `transformers` does.
    #[arg(long, value_enum, default_value_t)]
    pub aggregation: Aggregation,

    /// Words of consecutive sentences that the model reads at a time, or `document` for all of them [default: what the
    /// model was trained with, or `document` if its config.json does not say].
    #[arg(long, value_name = "WORDS|document")]
    pub context: Option<ContextLimit>,

    /// Tag abbreviations by their definitions: where the text says "Huntington disease (HD)", every HD is tagged like
    /// Huntington disease, or not at all.
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub abbreviations: Abbreviations,

    /// Whether to write titles and abstracts to `documents`, or only their hash.
    #[arg(long, value_enum, default_value_t)]
    pub text: Text,

    /// Fail with exit code 65 above this many rejects: a percentage of all records, or a number.
    #[arg(long, default_value_t, value_name = "PERCENT|N")]
    pub max_rejects: Tolerance,

    /// Fail with exit code 65 if NLM's statistics (`_stats.html` beside an update file) differ from what was read by more
    /// than this many records: a percentage of all records, or a number.
    #[arg(long, default_value_t, value_name = "PERCENT|N")]
    pub max_differences: Tolerance,

    /// Format of the inputs [default: detected from content]. Plain text is never detected.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub input_format: Option<InputFormat>,

    /// Name of the ID in JSONL, CSV, TSV and Parquet [default: `id` or `pmid`].
    #[arg(long, value_name = "NAME")]
    pub id_column: Option<String>,

    /// Name of the column with abstracts or other texts [default: `abstract` or `text`].
    #[arg(long, value_name = "NAME")]
    pub text_column: Option<String>,

    /// Name of the title column [default: `title`; none if --text-column is given].
    #[arg(long, value_name = "NAME")]
    pub title_column: Option<String>,

    /// Stop after this many records in total.
    #[arg(long, value_name = "N", value_parser = whole::<NonZeroUsize>)]
    pub limit: Option<NonZeroUsize>,

    /// Cache of results, a directory or a prefix in an object store, which several outputs may share: texts that were
    /// tagged before with the same model and settings are not tagged again [default: `_pubtag/cache` in the output].
    #[arg(long, value_name = "DIR|URL", value_parser = address(), conflicts_with = "no_cache")]
    pub cache: Option<Address>,

    /// Tag every text, and keep no results for later runs.
    #[arg(long)]
    pub no_cache: bool,

    /// Replace what was written for the same inputs with another model or other settings.
    #[arg(long)]
    pub overwrite: bool,

    /// What to do with a file of the PubMed distribution that NLM has re-issued since it was committed.
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub reissued: Reissued,

    /// Commit the readable part of a truncated or corrupt file instead of quarantining the file.
    #[arg(long)]
    pub accept_partial: bool,

    /// Time to finish the current file after Ctrl-C or SIGTERM, in seconds or with a unit (2m).
    #[arg(long, default_value = "30s", value_name = "DURATION", value_parser = duration)]
    pub grace: Duration,
}

/// Formats of inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InputFormat {
    /// PubMed XML.
    Xml,
    /// One JSON object per line.
    Jsonl,
    /// MEDLINE's tagged format.
    Nbib,
    /// Comma-separated values with a header.
    Csv,
    /// Tab-separated values with a header.
    Tsv,
    /// Apache Parquet.
    Parquet,
    /// Plain text, one document per line.
    Lines,
    /// Plain text, one document per file.
    Text,
}

/// What becomes of the earlier result of a re-issued file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Reissued {
    /// It is replaced, with a warning.
    #[default]
    Replace,
    /// The run is refused, as for any other file that has changed; --overwrite replaces it.
    Refuse,
}

/// What `documents` contains of the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Text {
    /// Titles and abstracts.
    #[default]
    Keep,
    /// Only their SHA-256.
    Hash,
}
