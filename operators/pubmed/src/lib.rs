//! The sources: input files become a stream of citations, deletions and rejects.
//!
//! ```text
//! INPUT… ─discover─► InputUnit ─read_unit─► Open, Items…, Close
//!
//! disk (hashed) ─► gunzip ─► UTF-8 ─► window ─┬─► xml: record boundaries ─► one record's fields ─┬─► packets
//!                                             └─► delimited: JSONL, nbib, CSV, TSV, plain text ───┤
//! parquet: rows ────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! What a file holds is told from its bytes, never from its name; plain text is read only where one says so. A record that cannot be read becomes a reject and
//! reading goes on behind it; a file that cannot be read to its end is quarantined: it closes with an outcome that
//! says so, and nothing of it may be committed.

mod error;
mod inputs;
mod name;
mod options;
mod pattern;
mod sniff;

mod disk;
mod gzip;
mod md5;
mod scan;
mod window;

mod collector;
mod date;
mod delimited;
mod fields;
mod jsonl;
mod nbib;
mod parquet_limits;
mod parquet_rows;
mod plain;
mod quoted;
mod record_reader;
mod table;
mod xml;

mod reader;
mod source;

pub use disk::hashed;
pub use error::PubmedError;
pub use inputs::{Inputs, Skipped, discover};
pub use options::{InputFormat, ReadOptions, TextColumns};
pub use source::{Source, read_unit};
