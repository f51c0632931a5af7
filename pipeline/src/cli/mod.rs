//! The command line as clap reads it: one file per subcommand, and the types of its values.
//!
//! Nothing here depends on the rest of the program. Values are plain types of the command line's own; `from_cli` converts
//! them into those of the operators, and `settings` adds what a settings file says.

mod amounts;
mod cache;
mod config;
mod context_words;
mod convert;
mod corpus;
mod device;
mod evaluate;
mod inspect;
mod nightly;
mod numbers;
mod plan;
mod pretrain;
mod reading;
mod run;
mod self_test;
mod shard;
mod show;
mod snapshot;
mod store;
mod sync;
mod train;
mod training;
mod vacuum;
mod verify;
mod warm_up;
mod worker;

use clap::{Parser, Subcommand, ValueEnum};

pub use amounts::{ByteSize, Tolerance, duration, show_duration};
pub use cache::{CacheCommand, CachePruneArgs, CacheStatsArgs};
pub use config::{ConfigCommand, Configurable, ShowConfigArgs, ShowFormat};
pub use context_words::ContextWords;
pub use convert::ConvertArgs;
pub use corpus::{CorpusCommand, CorpusFormat, DownloadArgs, ListArgs, Release, StatsArgs};
pub use device::{DeviceArgs, DeviceChoice, Precision};
pub use evaluate::EvaluateArgs;
pub use inspect::{InspectArgs, TableName};
pub use nightly::NightlyArgs;
pub use numbers::{Fraction, NotNegative, Positive, Share, whole};
pub use plan::PlanArgs;
pub use pretrain::PretrainArgs;
pub use reading::{Abbreviations, Aggregation, ContextLimit, Decode};
pub use run::{InputFormat, Reissued, RunArgs, RunOptions, Text};
pub use self_test::SelfTestArgs;
pub use shard::Shard;
pub use show::{Color, ShowArgs};
pub use snapshot::SnapshotArgs;
pub use store::StoreArgs;
pub use sync::{SyncArgs, SyncFormat};
pub use train::{ClassWeights, LabelTokens, Labels, TrainArgs};
pub use training::{SavedType, TrainingArgs};
pub use vacuum::VacuumArgs;
pub use verify::VerifyArgs;
pub use warm_up::WarmUpArgs;
pub use worker::WorkerArgs;

/// Heading of the options that every subcommand has.
const GLOBAL: &str = "Global options";

/// Tag PubMed: read citations, find entities with a transformer model, write Parquet.
#[derive(Debug, Parser)]
#[command(name = "pubtag", version, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,

    /// Format of log lines on stderr.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT", help_heading = GLOBAL)]
    pub log_format: LogFormat,

    /// Show errors only.
    #[arg(long, short, global = true, help_heading = GLOBAL)]
    pub quiet: bool,

    /// Show more log lines; repeat to show all of them.
    #[arg(long, short, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet", help_heading = GLOBAL)]
    pub verbose: u8,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tag citations and write annotations, documents and rejects to Parquet.
    #[command(override_usage = "pubtag run [OPTIONS] --output <DIR|URL> <INPUT>...")]
    Run(RunArgs),
    /// Estimate what a run would take, from a sample and this machine's speed.
    #[command(override_usage = "pubtag plan [OPTIONS] <INPUT>...")]
    Plan(PlanArgs),
    /// Tag one input per request: JSON lines on stdin, JSON lines on stdout (see deploy/worker.md).
    #[command(override_usage = "pubtag worker [OPTIONS] --output <DIR|URL>")]
    Worker(WorkerArgs),
    /// Convert an annotated corpus to another format.
    Convert(ConvertArgs),
    /// Count, list or download annotated corpora.
    #[command(subcommand)]
    Corpus(CorpusCommand),
    /// Fine-tune a pretrained encoder on annotated corpora.
    #[command(override_usage = "pubtag train [OPTIONS] --train <FILE[:OPTION…]>... --base <DIR> --output <DIR>")]
    Train(TrainArgs),
    /// Go on with the pretraining of an encoder on texts, by masked language modelling.
    #[command(override_usage = "pubtag pretrain [OPTIONS] --base <DIR> --output <DIR> <INPUT>...")]
    Pretrain(PretrainArgs),
    /// Evaluate a model on annotated corpora.
    Evaluate(EvaluateArgs),
    /// Describe a model or an output directory.
    Inspect(InspectArgs),
    /// Print a document with its mentions.
    Show(ShowArgs),
    /// Read an output or its snapshots back and report every defect.
    Verify(VerifyArgs),
    /// Publish the current state of an output: one row per live citation.
    Snapshot(SnapshotArgs),
    /// Remove files that no commit uses from an output in an object store.
    Vacuum(VacuumArgs),
    /// Mirror PubMed's baseline and update files.
    Sync(SyncArgs),
    /// Mirror PubMed, tag what is new, verify the output and publish a snapshot.
    Nightly(NightlyArgs),
    /// Inspect or prune the cache of results.
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Show the settings of a command.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Compile, tune and check a model's CUDA kernels, and cache them for later runs.
    #[command(name = "warmup")]
    WarmUp(WarmUpArgs),
    /// Compare a device's results with the CPU's in single precision, for every precision it supports.
    #[command(name = "selftest")]
    SelfTest(SelfTestArgs),
    /// Print the documentation of the output tables as Markdown.
    Schema,
}

/// Formats of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}
