//! How units are written.

use std::collections::HashSet;
use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use crate::RunSpec;
use crate::encode::Bounds;
use crate::upload::PIECE_BYTES;

/// Whether the tables contain the citations' text; publishers may own abstracts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextPolicy {
    /// Titles and abstracts are written.
    Keep,
    /// Only the text's SHA-256 is written.
    Hash,
}

/// The text is not a [`TextPolicy`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a text policy; use keep or hash")]
pub struct TextPolicyError(String);

impl FromStr for TextPolicy {
    type Err = TextPolicyError;

    fn from_str(text: &str) -> Result<Self, TextPolicyError> {
        match text {
            "keep" => Ok(Self::Keep),
            "hash" => Ok(Self::Hash),
            other => Err(TextPolicyError(other.to_owned())),
        }
    }
}

impl fmt::Display for TextPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keep => "keep",
            Self::Hash => "hash",
        })
    }
}

/// The most bytes that are put in one request.
const SINGLE_PUT: NonZeroUsize = NonZeroUsize::new(64 << 20).expect("64 MiB is not 0");

/// Bytes after which a part ends in an object store: with one more row group, it is below [`SINGLE_PUT`].
const SINGLE_PUT_PART: NonZeroUsize = NonZeroUsize::new(44 << 20).expect("44 MiB is not 0");

/// How units are written.
#[derive(Clone, Debug)]
pub struct WriteConfig {
    /// What determines the rows; its settings must include the text policy, like everything that changes rows.
    pub spec: RunSpec,
    /// Whether the tables contain the citations' text.
    pub text: TextPolicy,
    /// Whether conflicting commits are replaced.
    pub overwrite: bool,
    /// URIs of inputs whose earlier contents are replaced even without `overwrite`.
    pub reissued: HashSet<String>,
    /// Name and version of the program, as provenance.
    pub program: String,
    /// Size in memory, in bytes, of the rows of a row group.
    pub row_group_bytes: NonZeroUsize,
    /// Encoded bytes after which a new part begins.
    pub part_bytes: NonZeroUsize,
    /// Bytes of a part per request, if it is larger; object stores require at least 5 MiB.
    pub piece_bytes: NonZeroUsize,
}

impl WriteConfig {
    /// The defaults: text kept, nothing overwritten, row groups of 16 MiB in memory, parts of 512 MiB.
    ///
    /// Larger row groups would hardly be faster to read (a PubMed file yields a few of these), and encoded pages are most
    /// of the memory of a run with a small model.
    pub fn new(spec: RunSpec, program: impl Into<String>) -> Self {
        const MIB: NonZeroUsize = NonZeroUsize::new(1024 * 1024).expect("a million is not zero");
        let mib = |count: usize| MIB.saturating_mul(NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN));
        Self {
            spec,
            text: TextPolicy::Keep,
            overwrite: false,
            reissued: HashSet::new(),
            program: program.into(),
            row_group_bytes: mib(16),
            part_bytes: mib(512),
            piece_bytes: PIECE_BYTES,
        }
    }

    /// The same with parts that fit into one request each. What a killed run leaves of an upload in several requests would
    /// stay in the store, be billed, and not be listed.
    pub(crate) fn in_single_puts(self) -> Self {
        let (part_bytes, piece_bytes) = (self.part_bytes.min(SINGLE_PUT_PART), self.piece_bytes.max(SINGLE_PUT));
        Self { part_bytes, piece_bytes, ..self }
    }

    pub(crate) fn bounds(&self) -> Bounds {
        Bounds { row_group_bytes: self.row_group_bytes, part_bytes: self.part_bytes }
    }
}
