//! Records that could not be read: counted and written, never dropped.

use std::fmt;

use crate::{Place, Pmid};

/// At most this many bytes of a rejected record are kept.
pub const MAX_RAW_BYTES: usize = 64 * 1024;

/// One record that could not be turned into a citation or a deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Position in the input.
    pub place: Place,
    /// The class of the defect, for counting.
    pub reason: RejectReason,
    /// What exactly is wrong, for people.
    pub detail: String,
    /// The PMID, if known.
    pub pmid: Option<Pmid>,
    /// The record's bytes, truncated to [`MAX_RAW_BYTES`].
    pub raw: Vec<u8>,
}

/// Classes of rejects. The names are part of the output: classes are added, never renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RejectReason {
    /// The record's markup does not parse (mismatched tags, bad entities, bad JSON).
    Malformed,
    /// The record's bytes are invalid in the encoding that the input declares.
    Encoding,
    /// The record has no identifier.
    MissingId,
    /// The record's identifier or version is not a number in range.
    BadId,
    /// The record is larger than the reader accepts.
    TooLarge,
    /// The record has neither a title nor a text.
    MissingText,
    /// The input ends inside the record (only with `--accept-partial`).
    Truncated,
}

impl RejectReason {
    /// The name in tables and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Encoding => "encoding",
            Self::MissingId => "missing_id",
            Self::BadId => "bad_id",
            Self::TooLarge => "too_large",
            Self::MissingText => "missing_text",
            Self::Truncated => "truncated",
        }
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
