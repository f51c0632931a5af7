//! `pubtag inspect`.

use clap::{Args, ValueEnum};
use pubtag_store::Address;

use super::numbers::whole;
use super::store::{StoreArgs, address};

/// Arguments of `pubtag inspect`.
#[derive(Args, Debug)]
pub struct InspectArgs {
    /// Model directory, or directory or URL of an output [default: the bundled model].
    #[arg(value_name = "MODEL|OUTPUT", value_parser = address())]
    pub path: Option<Address>,

    /// Options of object stores.
    #[command(flatten)]
    pub store: StoreArgs,

    /// Number of most frequent mentions to list; 0 skips reading annotations.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = whole::<usize>)]
    pub top: usize,

    /// Print the part files of a table that are in force, one path or URL per line: those of commits that were not replaced,
    /// in the current PubMed generation. In an object store, other files may be next to them.
    #[arg(long, value_name = "TABLE", conflicts_with = "top")]
    pub parts: Option<TableName>,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// The tables of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TableName {
    /// Mentions.
    Annotations,
    /// Citations and deletions.
    Documents,
    /// Records that could not be read.
    Rejects,
}

impl TableName {
    /// The table's directory.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Annotations => "annotations",
            Self::Documents => "documents",
            Self::Rejects => "rejects",
        }
    }
}
