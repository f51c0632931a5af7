//! The cache of results: a text that was tagged before, by the same model with the same settings, is not tagged again.
//!
//! ```text
//! source ─► Recall ─► tokenize ─► tag ─► abbreviations ─► Remember ─► write
//!             └ reads segments                              └ writes segments
//! ```
//!
//! [`Recall`] turns citations whose text is known into [`Record::Cached`](pubtag_schemas::Record::Cached), which every later
//! stage passes through. [`Remember`] collects what the model computed and writes it as segments. An entry is determined by
//! its text and its [`CacheSpec`] alone, whatever becomes of the file that it was read from.
//!
//! ```text
//! CACHE/_pubtag/cache.json                                     marks a cache of its own; one in an output has no mark
//! CACHE/<32 hex of the spec>/spec.json                        what the spec consists of, for people
//! CACHE/<32 hex of the spec>/<first>-<last>-<UUID>.parquet    a segment: entries sorted by locus, and the range of these
//! ```
//!
//! There is no other state. Segments are immutable and appear whole under unique names, and a listing shows which of them
//! may contain a text. So kills and concurrent runs may lose entries, but never produce a wrong one: an entry is used only
//! if the SHA-256 of its text and its own checksum match.
//!
//! The locus of an entry is its PMID: the files of a baseline have contiguous PMIDs, so each touches a few segments.
//! [`Cache::compact`] merges segments that overlap into buckets that do not.

mod columns;
mod entry;
mod error;
mod key;
mod name;
mod spec;

mod blocks;
mod encode;
mod segment;
mod store;

mod compact;
mod lookup;
mod mark;
mod stats;
mod survey;

mod recall;
mod remember;

pub use compact::Compacted;
pub use error::CacheError;
pub use mark::{check, claim, is_own_name};
pub use recall::Recall;
pub use remember::Remember;
pub use spec::CacheSpec;
pub use stats::{CacheCounts, CacheStats};
pub use store::Cache;
pub use survey::{SpecSummary, remove, survey};
