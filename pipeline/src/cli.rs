//! The command line: raw arguments as clap reads them. Checked settings are in [`config`](crate::config).

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use pubtag_corpus::Format;

use crate::config::{Grace, MaxRejects};
use crate::device::DeviceChoice;
use crate::telemetry::LogFormat;

/// Tags PubMed: reads citations, finds entities with a transformer model, writes Parquet that a data lake can trust.
#[derive(Debug, Parser)]
#[command(name = "pubtag", version, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// How log lines on stderr look.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub log_format: LogFormat,

    /// Show errors only.
    #[arg(long, short, global = true)]
    pub quiet: bool,

    /// Show more; twice shows everything.
    #[arg(long, short, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
}

/// The subcommands, one file each under `commands/`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tag citations and write annotations, documents and rejects to Parquet.
    Run(RunArgs),
    /// Convert an annotated corpus into another format.
    Convert(ConvertArgs),
    /// Count or list what annotated corpora hold.
    #[command(subcommand)]
    Corpus(CorpusCommand),
    /// Print the documentation of the output tables as Markdown.
    Schema,
}

/// What an annotated corpus can be: its names on the command line.
const FORMATS: &str = "inline|pubtator|bioc-xml|bioc-json|iob|nemo|brat|jsonl";

/// Arguments of `pubtag convert`.
#[derive(Args, Debug)]
pub struct ConvertArgs {
    /// The corpus; for NeMo either of its files, for brat a file or the folder.
    #[arg(value_name = "IN")]
    pub input: PathBuf,

    /// The format to write.
    #[arg(long, value_name = FORMATS)]
    pub to: Format,

    /// The file to write; for NeMo and brat a folder.
    #[arg(long, short, value_name = "OUT")]
    pub output: PathBuf,

    /// The format of the input; told by its content if absent.
    #[arg(long, value_name = FORMATS)]
    pub from: Option<Format>,

    /// The longest sentence of a NeMo corpus, in words; longer ones are cut where no mention stands.
    #[arg(long, value_name = "WORDS")]
    pub max_length: Option<NonZeroUsize>,
}

/// The subcommands of `pubtag corpus`.
#[derive(Debug, Subcommand)]
pub enum CorpusCommand {
    /// Count documents, sentences, tokens and mentions; find overlaps, repetitions and leakage between files.
    Stats(StatsArgs),
    /// Print each mention: document, first character, one past the last, category, mention, concepts.
    List(ListArgs),
}

/// Arguments of `pubtag corpus stats`.
#[derive(Args, Debug)]
pub struct StatsArgs {
    /// The files; those of one corpus together show what its splits share.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Their format; told by their content if absent.
    #[arg(long, value_name = FORMATS)]
    pub from: Option<Format>,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `pubtag corpus list`.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// The file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Its format; told by its content if absent.
    #[arg(long, value_name = FORMATS)]
    pub from: Option<Format>,
}

/// Arguments of `pubtag run`.
#[derive(Args, Debug)]
#[command(after_help = "Exit codes: 0 done · 2 usage · 65 data (too many rejects, quarantined files) · 70 internal · \
                        75 transient, run again · 78 configuration or device · 130/143 signal")]
pub struct RunArgs {
    /// Files, folders, quoted globs, or `-` for standard input: PubMed XML or JSONL, plain or gzipped.
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<String>,

    /// The folder to write to. A folder that an earlier run wrote is continued: what is there is not tagged again.
    #[arg(long, short, value_name = "DIR")]
    pub output: PathBuf,

    /// A Hugging Face directory with a token classifier (config.json, model.safetensors, tokenizer.json or vocab.txt).
    #[arg(long, short, value_name = "DIR", env = "PUBTAG_MODEL")]
    pub model: Option<PathBuf>,

    /// Where the model runs: auto, cpu, cuda, or cuda:N.
    #[arg(long, default_value_t, value_name = "DEVICE")]
    pub device: DeviceChoice,

    /// Tokens of a micro-batch, at most. The default depends on the device.
    #[arg(long, value_name = "N")]
    pub token_budget: Option<NonZeroUsize>,

    /// How tags are chosen: the best sequence that obeys IOB2, or each word's best tag by itself.
    #[arg(long, default_value = "constrained", value_name = "constrained|argmax")]
    pub decode: pubtag_ner::Decoding,

    /// How the tags of a word's sub-tokens become the word's tag, with the meaning that `transformers` gives these.
    #[arg(long, default_value_t, value_name = "first|simple|average|max")]
    pub aggregation: pubtag_ner::Aggregation,

    /// Whether `documents` carries titles and abstracts, or only a hash of them.
    #[arg(long, default_value = "keep", value_name = "keep|hash")]
    pub text: pubtag_parquet::TextPolicy,

    /// Rejects above this make the run end with exit code 65: a share of all records (`0.1%`) or a number.
    #[arg(long, default_value_t, value_name = "SHARE|N")]
    pub max_rejects: MaxRejects,

    /// Stop after this many records; for trying out.
    #[arg(long, value_name = "N")]
    pub limit: Option<NonZeroUsize>,

    /// Replace what an earlier run wrote for the same input with another model or other settings.
    #[arg(long)]
    pub overwrite: bool,

    /// Commit what could be read of a truncated or corrupt file instead of leaving the whole file out.
    #[arg(long)]
    pub accept_partial: bool,

    /// Threads for the model's arithmetic. The default is the number of processors that the process may use.
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,

    /// After Ctrl-C or SIGTERM, how many seconds the file at hand has to finish.
    #[arg(long, default_value_t, value_name = "SECONDS")]
    pub grace: Grace,
}
