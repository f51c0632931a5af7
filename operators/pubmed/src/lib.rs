//! Sources: reads input files into a stream of citations, deletions and rejects.
//!
//! ```text
//! INPUT… ─discover─► InputUnit ─read_unit─► Open, Items…, Close
//!
//! disk (hashed) ─► gunzip ─► UTF-8 ─► window ─┬─► xml: record boundaries ─► one record's fields ─┬─► packets
//!                                             └─► delimited: JSONL, nbib, CSV, TSV, plain text ───┤
//! parquet: rows ────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The format of a file is detected from its content, never from its name; plain text must be asked for. A record that
//! cannot be read becomes a reject, and reading continues after it. A file that cannot be read to its end is quarantined: it
//! closes with an outcome that says so, and none of it may be committed.

mod error;
mod inputs;
mod listed;
mod options;
mod order;
mod pattern;
mod sniff;

mod disk;
mod gzip;
mod md5;
mod object;
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
pub use inputs::{Inputs, Skipped, Unreadable, discover};
pub use options::{InputFormat, ReadOptions, TextColumns};
pub use source::{Source, read_unit};
