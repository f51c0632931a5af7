//! The unit of commit: one input file, and a place inside it.

use std::fmt;
use std::sync::Arc;

/// Where an input is read from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// Standard input.
    Stdin,
    /// A file, a pipe or a device, by its absolute path; UTF-8, as it becomes part of the output.
    File(String),
}

impl Location {
    /// The location as commits and reports carry it: a path, or `-` for standard input.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Stdin => "-",
            Self::File(path) => path,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One input file: what is read, tagged and committed as a whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputUnit {
    /// Position of the unit in this run, from 0, in input order.
    pub index: usize,
    /// Where it is read from.
    pub location: Location,
    /// Whether it cannot be read twice: standard input, a pipe or a device.
    pub read_once: bool,
    /// SHA-256 of the bytes of the file as they lie on disk, lower-case hex; absent for what can be read only once, which
    /// is hashed while it is read.
    pub sha256: Option<String>,
    /// Length in bytes as it lies on disk, where known beforehand.
    pub size: Option<u64>,
    /// Last modification in microseconds since 1970 UTC, where the file system says.
    pub modified_us: Option<i64>,
    /// Year of the PubMed baseline that the file belongs to (`pubmed26n0001` → 2026), from its name.
    pub generation: Option<i32>,
    /// Number of the file within its baseline year (`pubmed26n0001` → 1), from its name.
    pub file_seq: Option<i32>,
}

impl InputUnit {
    /// A unit of which no more is known than where it is.
    pub fn new(index: usize, location: Location) -> Self {
        Self {
            index,
            location,
            read_once: false,
            sha256: None,
            size: None,
            modified_us: None,
            generation: None,
            file_seq: None,
        }
    }

    /// The [`location`](Self::location) as commits and reports carry it.
    pub fn uri(&self) -> &str {
        self.location.as_str()
    }

    /// The last component of the URI: what tables carry as `source_file`.
    pub fn file_name(&self) -> &str {
        self.uri().rsplit('/').next().unwrap_or(self.uri())
    }
}

/// Where a record stands in its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub unit: Arc<InputUnit>,
    /// Number of the record in the file, from 0 to 2147483647: citations, deletions and rejects together, in file order.
    pub ordinal: u32,
    /// Offset in bytes of the record's first byte in the file's decompressed content; of Parquet, the row, from 0.
    pub byte_offset: u64,
}
