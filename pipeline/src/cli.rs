//! The command line: raw arguments as clap reads them. Checked settings are in [`config`](crate::config).

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use pubtag_corpus::{CorpusSpec, Format, Labels};
use pubtag_ner::Checkpoint;
use pubtag_ner::train::LabelTokens;
use pubtag_pubmed::InputFormat;
use pubtag_tokenize::Context;
use serde::Serialize;

use crate::config::{Bytes, Grace, MaxRejects};
use crate::device::DeviceChoice;
use crate::download::Release;
use crate::telemetry::LogFormat;
use crate::training::context::ContextWords;

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
    /// Count, list or fetch annotated corpora.
    #[command(subcommand)]
    Corpus(CorpusCommand),
    /// Fine-tune a pretrained encoder on annotated corpora.
    Train(TrainArgs),
    /// Measure a model against an annotated corpus.
    Evaluate(EvaluateArgs),
    /// Say what a model or an output folder is.
    Inspect(InspectArgs),
    /// Print a document with its mentions.
    Show(ShowArgs),
    /// Read an output back and report everything that is wrong with it.
    Verify(VerifyArgs),
    /// Compile, tune and check a model's kernels on a CUDA card, for later runs to find.
    #[command(name = "warmup")]
    WarmUp(WarmUpArgs),
    /// Hold a device's results against the CPU's in single precision, in every precision that it has.
    #[command(name = "selftest")]
    SelfTest(SelfTestArgs),
    /// Print the documentation of the output tables as Markdown.
    Schema,
}

/// Where and how a model runs.
#[derive(Args, Clone, Debug)]
pub struct DeviceArgs {
    /// Where the model runs: auto, cpu, cuda, cuda:N, cuda:N,M for several cards at once, or cuda:all.
    #[arg(long, default_value_t, value_name = "DEVICE")]
    pub device: DeviceChoice,

    /// How exact the arithmetic is: f32; int8 is about twice as fast on a CPU and rounds; bf16 where the device has it; f16
    /// on CUDA.
    #[arg(long, default_value_t, value_name = "f32|f16|bf16|int8")]
    pub precision: pubtag_ner::Precision,

    /// Tokens of a micro-batch, at most. The default depends on the device.
    #[arg(long, value_name = "N")]
    pub token_budget: Option<NonZeroUsize>,

    /// Threads for the model's arithmetic. The default is the physical cores that the process may use.
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,

    /// Where kernels that were compiled for a CUDA card are kept. The default is pubtag in the user's cache folder.
    #[arg(long, value_name = "DIR", env = "PUBTAG_CACHE_DIR")]
    pub cache_dir: Option<PathBuf>,

    /// The memory of each CUDA card that may be used, such as 12GiB; all of it if not said.
    #[arg(long, value_name = "SIZE")]
    pub device_memory: Option<Bytes>,

    /// Do not hold a CUDA card's results against the CPU's: for a driver that computes nothing.
    #[arg(long, hide = true)]
    pub unchecked_device: bool,
}

/// Arguments of `pubtag warmup`.
#[derive(Args, Debug)]
pub struct WarmUpArgs {
    /// A model's directory; the model inside the program if absent.
    #[arg(long, short, value_name = "DIR", env = "PUBTAG_MODEL")]
    pub model: Option<PathBuf>,

    /// Where and how the model will run.
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// Arguments of `pubtag selftest`.
#[derive(Args, Debug)]
pub struct SelfTestArgs {
    /// A model's directory; the model inside the program if absent.
    #[arg(long, short, value_name = "DIR", env = "PUBTAG_MODEL")]
    pub model: Option<PathBuf>,

    /// The device to test; `--precision` is not looked at, all that it has are tested.
    #[command(flatten)]
    pub device: DeviceArgs,

    /// Tests a precision and prints its lines of the table: what the whole test starts a process with for each.
    #[arg(long, hide = true)]
    pub only_precision: Option<pubtag_ner::Precision>,
}

/// Arguments of `pubtag inspect`.
#[derive(Args, Debug)]
pub struct InspectArgs {
    /// A model's directory or an output folder; the model inside the program if absent.
    #[arg(value_name = "MODEL|OUTPUT")]
    pub path: Option<PathBuf>,

    /// The most frequent mentions to list; 0 spares reading the annotations.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub top: usize,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `pubtag show`.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// The document: its PMID, or the id that its input gave.
    #[arg(value_name = "PMID")]
    pub id: String,

    /// The output folder.
    #[arg(long, short, value_name = "DIR")]
    pub output: PathBuf,

    /// Whether mentions are coloured, or stand in brackets.
    #[arg(long = "color", visible_alias = "colour", value_enum, default_value_t, value_name = "WHEN")]
    pub colour: Colour,
}

/// Arguments of `pubtag verify`.
#[derive(Args, Debug)]
#[command(
    after_help = "Prints one line per defect. Exit codes: 0 no defect · 65 defects · 75 the output cannot be read, \
                        run again · 78 not an output"
)]
pub struct VerifyArgs {
    /// The output directory.
    #[arg(value_name = "OUTPUT")]
    pub output: PathBuf,

    /// Check markers, lengths and footers only; read neither rows nor checksums.
    #[arg(long)]
    pub quick: bool,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,

    /// Inputs verified at once [default: physical cores, 8 at most].
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Colour {
    /// On a terminal.
    #[default]
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
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

    /// Replace files that exist.
    #[arg(long)]
    pub overwrite: bool,
}

/// The subcommands of `pubtag corpus`.
#[derive(Debug, Subcommand)]
pub enum CorpusCommand {
    /// Count documents, sentences, tokens and mentions; find overlaps, repetitions and leakage between files.
    Stats(StatsArgs),
    /// Print each mention: document, first character, one past the last, category, mention, concepts.
    List(ListArgs),
    /// Fetch a public corpus; a broken download is taken up again, every file is verified by its checksum.
    Download(DownloadArgs),
}

/// Arguments of `pubtag corpus download`.
#[derive(Args, Debug)]
pub struct DownloadArgs {
    /// Which corpus.
    #[arg(value_enum, value_name = "CORPUS")]
    pub release: Release,

    /// The folder to put its files into; named like the corpus if absent.
    #[arg(long, short, value_name = "DIR")]
    pub output: Option<PathBuf>,

    /// Where its archives are, instead of its publisher's site: a mirror, say.
    #[arg(long, value_name = "URL")]
    pub base_url: Option<String>,

    /// How long the server may be silent before the transfer is broken off and tried again.
    #[arg(long, value_name = "SECONDS", default_value = "30")]
    pub timeout: NonZeroU32,
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
    /// Files, folders, quoted globs, or `-` for standard input: PubMed XML, nbib, JSONL, CSV, TSV or Parquet; all but
    /// Parquet plain or gzipped.
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<String>,

    /// The folder to write to. A folder that an earlier run wrote is continued: what is there is not tagged again.
    #[arg(long, short, value_name = "DIR")]
    pub output: PathBuf,

    /// A Hugging Face directory with a token classifier (config.json, model.safetensors, tokenizer.json or vocab.txt).
    /// The default is the model for diseases inside the program.
    #[arg(long, short, value_name = "DIR", env = "PUBTAG_MODEL")]
    pub model: Option<PathBuf>,

    /// Where and how the model runs.
    #[command(flatten)]
    pub device: DeviceArgs,

    /// How tags are chosen: the best sequence that obeys IOB2, or each word's best tag by itself.
    #[arg(long, default_value = "constrained", value_name = "constrained|argmax")]
    pub decode: pubtag_ner::Decoding,

    /// How the tags of a word's sub-tokens become the word's tag, with the meaning that `transformers` gives these.
    #[arg(long, default_value_t, value_name = "first|simple|average|max")]
    pub aggregation: pubtag_ner::Aggregation,

    /// Words of consecutive sentences that the model reads at a time, or `document` for all at once [default: what the
    /// model was trained with; `document` where its config.json does not say].
    #[arg(long, value_name = "WORDS|document")]
    pub context: Option<Context>,

    /// Tag abbreviations by their definitions: where the text says "Huntington disease (HD)", every HD is tagged as
    /// Huntington disease is, or not at all [auto: on for models made by `pubtag train`].
    #[arg(long, value_enum, default_value_t, value_name = "auto|on|off")]
    pub abbreviations: Abbreviations,

    /// Whether `documents` carries titles and abstracts, or only a hash of them.
    #[arg(long, default_value = "keep", value_name = "keep|hash")]
    pub text: pubtag_parquet::TextPolicy,

    /// Rejects above this make the run end with exit code 65: a share of all records (`0.1%`) or a number.
    #[arg(long, default_value_t, value_name = "SHARE|N")]
    pub max_rejects: MaxRejects,

    /// What the inputs are; told from their bytes if absent. Plain text is never told: `lines` has a document a line,
    /// `text` one a file.
    #[arg(long, value_name = "xml|jsonl|nbib|csv|tsv|parquet|lines|text")]
    pub input_format: Option<InputFormat>,

    /// The column of ids of CSV, TSV and Parquet. The default is `id`, or `pmid`.
    #[arg(long, value_name = "NAME")]
    pub id_column: Option<String>,

    /// Their column of abstracts or other texts. The default is `abstract`, or `text`, behind the title.
    #[arg(long, value_name = "NAME")]
    pub text_column: Option<String>,

    /// Their column of titles. The default is `title`, and none where the text column is named.
    #[arg(long, value_name = "NAME")]
    pub title_column: Option<String>,

    /// Stop after this many records; for trying out.
    #[arg(long, value_name = "N")]
    pub limit: Option<NonZeroUsize>,

    /// Replace what an earlier run wrote for the same input with another model or other settings.
    #[arg(long)]
    pub overwrite: bool,

    /// Commit what could be read of a truncated or corrupt file instead of leaving the whole file out.
    #[arg(long)]
    pub accept_partial: bool,

    /// After Ctrl-C or SIGTERM, how many seconds the file at hand has to finish.
    #[arg(long, default_value_t, value_name = "SECONDS")]
    pub grace: Grace,
}

/// Whether abbreviations are tagged by their definitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Abbreviations {
    /// For models made by `pubtag train`; the output of any other stays what `transformers` says.
    #[default]
    Auto,
    /// For any model.
    On,
    /// Never.
    Off,
}

impl Abbreviations {
    /// Whether they are for a model.
    pub fn is_on(self, checkpoint: &Checkpoint) -> bool {
        match self {
            Self::Auto => checkpoint.context_words().is_some(),
            Self::On => true,
            Self::Off => false,
        }
    }
}

/// Arguments of `pubtag train`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct TrainArgs {
    /// Options from a TOML or YAML file, by their long names; names of `run_ner` and NeMo are understood. What is given
    /// here wins.
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// Corpora to learn from, in any format that `pubtag convert` reads. Options follow after colons:
    /// `types=Disease,Gene` are the types that the corpus annotates [default: those of its mentions], `map=Modifier=Disease`
    /// renames categories, `weight=2` has it learnt twice per epoch.
    ///
    /// Mentions of other types than a corpus's own are dropped. Types that only other corpora annotate count as unknown
    /// there: a token outside of all mentions may be one of them.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE[:OPTION…]")]
    pub train: Vec<CorpusSpec>,

    /// Corpora to choose the best epoch by: the one with the highest mean of their F1. Options as for --train, without
    /// weight. Without a corpus, the last epoch is kept.
    #[arg(long, num_args = 1.., value_name = "FILE[:OPTION…]")]
    pub dev: Vec<CorpusSpec>,

    /// A Hugging Face directory: an encoder, which gets a new head, or a token classifier with the same labels, whose
    /// head is kept.
    #[arg(long, value_name = "DIR")]
    #[serde(skip)]
    pub base: PathBuf,

    /// The directory to write, in the Hugging Face layout.
    #[arg(long, short, value_name = "DIR")]
    #[serde(skip)]
    pub output: PathBuf,

    /// The format of the corpora; told by their content if absent.
    #[arg(long, value_name = FORMATS)]
    #[serde(skip)]
    pub from: Option<Format>,

    /// Entity types of the NCBI Disease corpus: `auto` makes its four categories one, Disease; `category` keeps them.
    #[arg(long, default_value_t, value_name = "auto|category")]
    pub labels: Labels,

    /// Words of consecutive sentences that the model reads at a time while it learns: a number, or a range from which each
    /// passage of each epoch draws its length. A longer sentence stands alone, whole.
    #[arg(long, default_value = "100", value_name = "N|MIN..MAX")]
    pub context_words: ContextWords,

    /// Words that it reads at a time when it tags: used for the development corpora and recorded in `config.json`
    /// [default: --context-words, the middle of a range].
    #[arg(long, value_name = "N")]
    pub context: Option<NonZeroUsize>,

    /// Which sub-tokens of a word learn its label.
    #[arg(long, default_value_t, value_name = "first|all")]
    pub label_tokens: LabelTokens,

    /// How much each label weighs in the loss.
    #[arg(long, value_enum, default_value_t)]
    pub class_weights: ClassWeights,

    /// Passes over the training corpora.
    #[arg(long, default_value = "4", value_name = "N")]
    pub epochs: NonZeroUsize,

    /// Windows of one optimiser step.
    #[arg(long, default_value = "16", value_name = "N")]
    pub batch_size: NonZeroUsize,

    /// Parts into which a step is split to save memory.
    #[arg(long, default_value = "1", value_name = "N")]
    pub accumulation: NonZeroUsize,

    /// The highest learning rate, at the end of the warm-up.
    #[arg(long, default_value_t = 1.5e-4, value_name = "RATE")]
    pub learning_rate: f64,

    /// The share of all steps in which the learning rate rises; then it falls to 0.
    #[arg(long, default_value_t = 0.1, value_name = "SHARE")]
    pub warmup: f64,

    /// Decoupled weight decay of matrices.
    #[arg(long, default_value_t = 0.01, value_name = "DECAY")]
    pub weight_decay: f32,

    /// The norm over all parameters that gradients are scaled down to.
    #[arg(long, default_value_t = 1.0, value_name = "NORM")]
    pub clip_norm: f32,

    /// Each layer learns at this fraction of the rate of the one above.
    #[arg(long, default_value_t = 1.0, value_name = "FRACTION")]
    pub layer_decay: f64,

    /// Replace this share of the mentions, anew in each epoch, by others of their category.
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    pub replace_mentions: f64,

    /// End after so many epochs without a better score on the development corpora.
    #[arg(long, value_name = "N")]
    pub patience: Option<NonZeroUsize>,

    /// Where every random choice comes from.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,

    /// The type of the numbers that are saved.
    #[arg(long, value_enum, default_value_t)]
    #[serde(skip)]
    pub dtype: SavedType,

    /// Replace the output directory if it is there.
    #[arg(long)]
    #[serde(skip)]
    pub overwrite: bool,

    /// Where the model is trained: auto, cpu, cuda, or cuda:N.
    #[arg(long, default_value_t, value_name = "DEVICE")]
    #[serde(skip)]
    pub device: DeviceChoice,

    /// Threads. The default is the physical cores that the process may use.
    #[arg(long, value_name = "N")]
    #[serde(skip)]
    pub threads: Option<NonZeroUsize>,
}

impl TrainArgs {
    /// How many words the model is to read at a time when it tags.
    pub(crate) fn tagging_context(&self) -> usize {
        self.context.map_or_else(|| self.context_words.middle(), NonZeroUsize::get)
    }
}

/// How much labels weigh in the loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ClassWeights {
    /// All alike.
    #[default]
    None,
    /// Each by the inverse of its frequency, as NeMo's `weighted_loss`.
    Balanced,
}

/// How weights are saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum SavedType {
    /// 32 bits, as they were trained.
    #[default]
    F32,
    /// Rounded to 16 bits: half the size.
    F16,
}

/// Arguments of `pubtag evaluate`.
#[derive(Args, Debug)]
pub struct EvaluateArgs {
    /// The model's directory. The default is the model inside the program.
    #[arg(long, short, value_name = "DIR", env = "PUBTAG_MODEL")]
    pub model: Option<PathBuf>,

    /// The corpora to compare with. Several are compared in one table. Options follow after colons, as for `pubtag train`:
    /// `types=Disease,Gene` are the types to score [default: those of its mentions], `map=Modifier=Disease` renames
    /// categories. Types that the model does not know are not scored.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE[:OPTION…]")]
    pub gold: Vec<CorpusSpec>,

    /// Their format [default: detected from content].
    #[arg(long, value_name = FORMATS)]
    pub from: Option<Format>,

    /// Entity types of the NCBI Disease corpus: `auto` makes its four categories one, Disease; `category` keeps them.
    #[arg(long, default_value_t, value_name = "auto|category")]
    pub labels: Labels,

    /// Words of consecutive sentences that the model reads at a time, or `document` for all at once, as in `pubtag run`
    /// [default: what the model was trained with; where its config.json does not say, `document`, or 100 for a corpus
    /// of tokens without text].
    #[arg(long, alias = "context-words", value_name = "WORDS|document")]
    pub context: Option<Context>,

    /// How tags are chosen: the best sequence that obeys IOB2, or each word's best tag by itself.
    #[arg(long, default_value = "constrained", value_name = "constrained|argmax")]
    pub decode: pubtag_ner::Decoding,

    /// How the tags of a word's sub-tokens become the word's tag.
    #[arg(long, default_value_t, value_name = "first|simple|average|max")]
    pub aggregation: pubtag_ner::Aggregation,

    /// Tag abbreviations by their definitions, as `pubtag run` does, in documents with a text of their own [auto: on for
    /// models made by `pubtag train`].
    #[arg(long, value_enum, default_value_t, value_name = "auto|on|off")]
    pub abbreviations: Abbreviations,

    /// Where and how the model runs.
    #[command(flatten)]
    pub device: DeviceArgs,

    /// Errors to list for a single corpus; `--json` has them all.
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub errors: usize,

    /// Write every token with its expected and its found tag to a file: what conlleval reads.
    #[arg(long, value_name = "FILE")]
    pub predictions: Option<PathBuf>,

    /// Replace the file of predictions if it exists.
    #[arg(long, requires = "predictions")]
    pub overwrite: bool,

    /// Measure on a file that the model was trained on.
    #[arg(long)]
    pub allow_training_data: bool,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
