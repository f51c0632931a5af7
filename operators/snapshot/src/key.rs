//! What identifies a document, and the order of the snapshot.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What identifies a document: its PMID or, without one, its `doc_id`. PMIDs come first, in numerical order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// A PubMed citation.
    Pmid(i64),
    /// Any other document.
    DocId(String),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pmid(pmid) => write!(f, "PMID {pmid}"),
            Self::DocId(id) => write!(f, "document {id}"),
        }
    }
}

/// One row of `documents`, wherever it is: a state of one version of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: Key,
    /// Version of the citation.
    pub(crate) version: i32,
    /// Number of the input that it came from, in the manifest.
    pub(crate) input: i32,
    /// Number of its record in that input.
    pub(crate) ordinal: i32,
    /// Whether it is a deletion.
    pub(crate) deleted: bool,
}

impl Entry {
    /// Whether both are the same row.
    pub(crate) fn is(&self, other: &Self) -> bool {
        (self.input, self.ordinal) == (other.input, other.ordinal)
    }
}
