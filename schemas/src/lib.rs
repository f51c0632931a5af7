//! The nouns of pubtag, and the Arrow schema of every table that leaves the program.
//!
//! ```text
//! InputUnit ─► Record<Citation> ─► Record<Tokenized> ─► Record<TaggedDocument> ─► rows of three tables ─► Commit
//! ```
//!
//! Operators share these types and depend on nothing else of each other. There is no async code here, no model, and only
//! [`ModelFiles`] reads files. The tables are declared once, in [`tables`]; their schema, batches, validation and
//! documentation are derived from there.

mod annotation;
mod citation;
mod commit;
mod context;
mod corpus;
mod date;
mod distribution;
mod hex;
mod md5;
pub mod mentions;
mod model_files;
mod packet;
mod record;
mod reject;
mod sentences;
pub mod snapshot;
pub mod table;
pub mod tables;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
mod unit;
mod unit_report;
mod window;

pub use annotation::{Annotation, AnnotationSource, TaggedDocument};
pub use citation::{Citation, Deletion, DocId, Pmid, PmidError, PmidVersion, PmidVersionError};
pub use commit::{COMMIT_VERSION, Claim, Commit, CommitOutcome, Input, Part, split_superseded};
pub use context::{Packing, context_after};
pub use corpus::{AnnotatedDocument, ConceptIds, Layout, Mention, Passage, Token};
pub use date::{Date, PubDate, civil_date, days_since_epoch};
pub use distribution::{distribution, identity};
pub use hex::hex;
pub use md5::md5_in;
pub use model_files::ModelFiles;
pub use packet::{Close, Outcome, Packet, Tally};
pub use record::{Record, TaggedRecord, TokenizedRecord};
pub use reject::{MAX_RAW_BYTES, Reject, RejectReason};
pub use sentences::{Sentences, trimmed};
pub use text::{AbstractSegment, CharOffsets, CitationText, Section, SectionKind};
pub use unit::{InputUnit, Location, Place};
pub use unit_report::{Ending, UnitReport};
pub use window::{TokenSpan, TokenWindow, Tokenized, TokenizedDocument};

/// The file that marks a directory as an output of pubtag, relative to it.
pub const OUTPUT_MARK: &str = "_pubtag/output.json";
/// The file that marks a directory as the place of a snapshot.
pub const SNAPSHOT_MARK: &str = "_pubtag/snapshot.json";
/// The file that marks a directory as a cache of its own.
pub const CACHE_MARK: &str = "_pubtag/cache.json";
/// All marks: nothing below a marked directory is an input.
pub const MARKS: [&str; 3] = [OUTPUT_MARK, SNAPSHOT_MARK, CACHE_MARK];

/// Version of the output tables. Within a version, columns are added but never renamed or retyped.
pub const SCHEMA_VERSION: u32 = 1;

/// Version of the result for the same input, model and settings; part of every fingerprint.
///
/// It changes only when a release would annotate the same citation differently, so other upgrades re-tag nothing.
pub const OUTPUT_VERSION: u32 = 4;
