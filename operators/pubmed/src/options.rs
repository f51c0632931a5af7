//! How inputs are to be read.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// How to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Takes what can be read of a file that is truncated or corrupt, instead of quarantining it.
    pub accept_partial: bool,
    /// Reads at most this many records.
    pub limit: Option<u64>,
    /// What the inputs are; told from their bytes if absent.
    pub format: Option<InputFormat>,
    /// Which columns of tables hold what.
    pub columns: TextColumns,
    /// The output of the run: nothing in it is an input.
    pub output: Option<PathBuf>,
}

/// Columns of CSV, TSV and Parquet by their names; where none is given, those called `id` or `pmid`, `title`, and
/// `abstract` or `text`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextColumns {
    /// The column of ids.
    pub id: Option<String>,
    /// The column of titles. A table whose text column is named has none unless this one is, too.
    pub title: Option<String>,
    /// The column of abstracts or other texts.
    pub text: Option<String>,
}

/// What an input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputFormat {
    /// PubMed XML.
    Xml,
    /// One JSON object a line.
    Jsonl,
    /// MEDLINE's tagged format.
    Nbib,
    /// Comma-separated values with a header.
    Csv,
    /// Tab-separated values with a header.
    Tsv,
    /// Apache Parquet.
    Parquet,
    /// Plain text, a document a line. Never told from the bytes.
    Lines,
    /// Plain text, a document a file. Never told from the bytes.
    Text,
}

impl InputFormat {
    /// Whether the ids of its documents come from the name of the file.
    pub fn names_after_file(self) -> bool {
        matches!(self, Self::Lines | Self::Text)
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
