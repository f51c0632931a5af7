//! The unit of commit: one input file, and a position in it.

use std::fmt;
use std::sync::Arc;

/// Where an input is read from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// Standard input.
    Stdin,
    /// A file, a pipe or a device, by its absolute path; UTF-8, as it becomes part of the output.
    File(String),
    /// An object in a store, by its URL.
    Object(String),
}

impl Location {
    /// The location in commits and reports: a path, a URL, or `-` for standard input.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Stdin => "-",
            Self::File(path) | Self::Object(path) => path,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One input file: read, tagged and committed as a whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputUnit {
    /// Position of the unit in this run, from 0, in input order.
    pub index: usize,
    /// Where it is read from.
    pub location: Location,
    /// Whether it can be read only once: standard input, a pipe or a device.
    pub read_once: bool,
    /// SHA-256 of the bytes on disk, lower-case hex; absent for what is hashed while it is read: what can be read only
    /// once, and objects in a store.
    pub sha256: Option<String>,
    /// Length in bytes on disk, where known beforehand.
    pub size: Option<u64>,
    /// Last modification in microseconds since 1970 UTC, where the file system provides it.
    pub modified_us: Option<i64>,
    /// What a store says the content is: it changes whenever the object does.
    pub e_tag: Option<String>,
    /// Year of the PubMed baseline that the file belongs to, from its name (`pubmed26n0001` → 2026).
    pub generation: Option<i32>,
    /// Number of the file within its baseline year, from its name (`pubmed26n0001` → 1).
    pub file_seq: Option<i32>,
}

impl InputUnit {
    /// A unit of which only the location is known.
    pub fn new(index: usize, location: Location) -> Self {
        Self {
            index,
            location,
            read_once: false,
            sha256: None,
            size: None,
            modified_us: None,
            e_tag: None,
            generation: None,
            file_seq: None,
        }
    }

    /// The [`location`](Self::location) in commits and reports.
    pub fn uri(&self) -> &str {
        self.location.as_str()
    }

    /// The last component of the URI: `source_file` in the tables.
    pub fn file_name(&self) -> &str {
        self.uri().rsplit('/').next().unwrap_or(self.uri())
    }
}

/// The position of a record in its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub unit: Arc<InputUnit>,
    /// Number of the record in the file, from 0 to 2147483647: citations, deletions and rejects together, in file order.
    pub ordinal: u32,
    /// Offset in bytes of the record's first byte in the file's decompressed content; of Parquet, the row, from 0.
    pub byte_offset: u64,
}
