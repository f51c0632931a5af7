//! The current state of an output: one row per live citation with its annotations, in buckets by PMID.
//!
//! ```text
//! commits ─► generation in force ─► new inputs ─► sort ─┐
//!                                                       ├─► merge ─► buckets, changes ─► manifest (create if absent)
//! former manifest ─► former buckets that change ────────┘
//! ```
//!
//! ```text
//! DIR/documents/<sha256>-<attempt>.parquet   live citations with their annotations, one file per bucket
//! DIR/history/<sha256>-<attempt>.parquet     all states of all documents: which input, which record, deleted or not
//! DIR/changes/<sha256>-<attempt>.parquet     what a snapshot inserted, updated and deleted
//! DIR/manifests/<number>.json                one per snapshot: the files it consists of
//! DIR/latest.json                            a copy of the newest
//! DIR/_pubtag/snapshot.json                  marks the directory: nothing but these files is ever removed from it
//! ```
//!
//! Files are immutable, and no two attempts write the same name. Creating the manifest publishes a snapshot, so it is
//! whole or absent, and a reader that reads one manifest never sees a mix. Buckets that nothing concerns stay as they
//! are. Old snapshots are removed manifest first; their files, once no other manifest names them.

mod error;
mod key;

mod inputs;

mod current;
mod generations;

mod rows;

mod encode;
mod nested;
mod place;
mod sort;

mod manifest;
mod mark;

mod buckets;
mod changes;
mod merge;
mod retention;

mod find;

mod snapshot;
mod verify;

pub use error::Error;
pub use find::find;
pub use generations::{Baseline, Baselines, Generations, Waiting};
pub use inputs::{Committed, Input, Parts};
pub use key::Key;
pub use manifest::{Bucket, Changes, Manifest};
pub use mark::{claim, is_own_name};
pub use place::{DataFile, Place};
pub use snapshot::{SnapshotConfig, Summary, snapshot};
pub use verify::{Defect, Event, Verified, verify};
