//! `pubtag corpus` and its subcommands.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::numbers::whole;

/// The subcommands of `pubtag corpus`.
#[derive(Debug, Subcommand)]
pub enum CorpusCommand {
    /// Count documents, sentences, tokens and mentions; report overlaps, duplicates and leakage between files.
    Stats(StatsArgs),
    /// List mentions: document, start and end character, category, mention and concepts, separated by tabs.
    List(ListArgs),
    /// Download a public corpus. Resumes partial downloads and verifies checksums.
    Download(DownloadArgs),
}

/// Arguments of `pubtag corpus stats`.
#[derive(Args, Debug)]
pub struct StatsArgs {
    /// Corpus files. Name all splits of a corpus together to find what they share.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Format of the files [default: detected from content].
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub from: Option<CorpusFormat>,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `pubtag corpus list`.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// Corpus file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Format of the file [default: detected from content].
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub from: Option<CorpusFormat>,
}

/// Arguments of `pubtag corpus download`.
#[derive(Args, Debug)]
pub struct DownloadArgs {
    /// Corpus to download.
    #[arg(value_enum, value_name = "CORPUS")]
    pub release: Release,

    /// Directory to download to [default: the name of the corpus].
    #[arg(long, short, value_name = "DIR")]
    pub output: Option<PathBuf>,

    /// URL to download from, such as a mirror [default: the publisher's site].
    #[arg(long, value_name = "URL")]
    pub base_url: Option<String>,

    /// Retry after the server has been silent for this many seconds.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = whole::<NonZeroU32>)]
    pub timeout: NonZeroU32,
}

/// A corpus that can be downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Release {
    /// NCBI Disease (Doğan et al., 2014): three files in PubTator format.
    NcbiDisease,
}

/// Formats of annotated corpora.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CorpusFormat {
    /// NCBI's inline tags.
    Inline,
    /// PubTator.
    Pubtator,
    /// BioC XML.
    BiocXml,
    /// BioC JSON.
    BiocJson,
    /// IOB columns.
    Iob,
    /// NeMo's text and label files.
    Nemo,
    /// brat's standoff files.
    Brat,
    /// One JSON object per document and line.
    Jsonl,
}
