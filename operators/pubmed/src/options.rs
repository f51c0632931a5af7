//! Options for reading inputs.

use std::fmt;
use std::str::FromStr;

use pubtag_store::{Address, Buckets};

use crate::plain;

/// Options for reading inputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Keep the readable records of a truncated or corrupt file instead of quarantining it.
    pub accept_partial: bool,
    /// Read at most this many records.
    pub limit: Option<u64>,
    /// The format of the inputs [default: detected].
    pub format: Option<InputFormat>,
    /// The columns of tables and the keys of JSONL.
    pub columns: TextColumns,
    /// The output of the run: nothing in it is an input.
    pub output: Option<Address>,
    /// The buckets of inputs in object stores.
    pub buckets: Buckets,
}

/// Names of the columns of CSV, TSV and Parquet files, and of the keys of JSONL [default: `id` or `pmid`, `title`, and
/// `abstract` or `text`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextColumns {
    /// The column of ids.
    pub id: Option<String>,
    /// The column of titles. If only the text column is named, there are no titles.
    pub title: Option<String>,
    /// The column of abstracts or other texts.
    pub text: Option<String>,
}

/// The format of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputFormat {
    /// PubMed XML.
    Xml,
    /// One JSON object per line.
    Jsonl,
    /// The tagged MEDLINE format.
    Nbib,
    /// Comma-separated values with a header.
    Csv,
    /// Tab-separated values with a header.
    Tsv,
    /// Apache Parquet.
    Parquet,
    /// Plain text, one document per line. Never detected.
    Lines,
    /// Plain text, one document per file. Never detected.
    Text,
}

impl InputFormat {
    /// Whether document ids are made from the file name.
    pub fn names_after_file(self) -> bool {
        matches!(self, Self::Lines | Self::Text)
    }

    /// What the ids of the documents in a file begin with, if they are made from its name.
    pub fn document_name(self, file_name: &str) -> Option<&str> {
        plain::document_name(self, file_name)
    }
}

const NAMES: [(InputFormat, &str); 8] = [
    (InputFormat::Xml, "xml"),
    (InputFormat::Jsonl, "jsonl"),
    (InputFormat::Nbib, "nbib"),
    (InputFormat::Csv, "csv"),
    (InputFormat::Tsv, "tsv"),
    (InputFormat::Parquet, "parquet"),
    (InputFormat::Lines, "lines"),
    (InputFormat::Text, "text"),
];

impl fmt::Display for InputFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(format, _)| format == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

impl FromStr for InputFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = NAMES.iter().find(|(_, name)| *name == text);
        known
            .map(|(format, _)| *format)
            .ok_or_else(|| format!("expected one of {}", NAMES.map(|(_, name)| name).join(", ")))
    }
}
