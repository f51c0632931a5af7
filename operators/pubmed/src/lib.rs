//! The sources: input files become a stream of citations, deletions and rejects.
//!
//! ```text
//! INPUT… ─discover─► InputUnit ─read_unit─► Open, Items…, Close
//!
//! disk (hashed) ─► gunzip ─► UTF-8 ─► window ─┬─► xml: record boundaries ─► one record's fields ─┬─► packets
//!                                             └─► jsonl: lines ─────────────────────────────────┘
//! ```
//!
//! What a file holds is told from its bytes, never from its name. A record that cannot be read becomes a reject and
//! reading goes on behind it; a file that cannot be read to its end is quarantined: it closes with an outcome that
//! says so, and nothing of it may be committed.

mod error;
mod inputs;
mod name;
mod sniff;

mod disk;
mod gzip;
mod md5;
mod window;

mod collector;
mod jsonl;
mod xml;

mod reader;
mod source;

pub use disk::hashed;
pub use error::PubmedError;
pub use inputs::{Inputs, Skipped, discover};
pub use reader::ReadOptions;
pub use source::{Source, read_unit};
