//! The Parquet sink: tagged records in, three tables out, committed per input by one small marker.
//!
//! ```text
//! Packet<TaggedRecord> ─► rows ─► encoder ─► part files ═╗
//!                                                        ╠═► marker (create if absent) ─► UnitReport
//! CommitLog (what is committed) ─────────────────────────╝
//! ```
//!
//! The unit of commit is one input. Its parts are written under names that no other attempt uses, and count for nothing
//! until a marker names them: creating it is the commit point. Parts that no marker names are what dead attempts left;
//! the next run removes them, and never touches those of a live run ([`Liveness`]). So a run can be killed at any moment
//! and run again, and the tables have the same rows.
//!
//! ```text
//! OUT/annotations/<stem>-<run id>-<attempt>-<number>.parquet   documents/ and rejects/ likewise
//! OUT/_pubtag/output.json                                      marks the directory as an output
//! OUT/_pubtag/commits/<32 hex of the input's key>.json         the markers: Commit
//! OUT/_pubtag/claims/<32 hex of the SHA-256 of the URI>-<number>.json   which content a URI has: Claim
//! OUT/_pubtag/attempts/<run id>.lock                           locked while the run lives
//! ```

mod age;
mod conflict;
mod digest;
mod error;
mod layout;
mod run_spec;

mod config;
mod encode;
mod encoding;
mod properties;
mod rows;

mod claims;
mod commit_log;
mod commits;
mod compact;
mod liveness;
mod mark;
mod objects;
mod output;
mod replaced;
mod survey;
mod sweep;

mod follow;
mod publish;
mod sink;
mod upload;

mod tables;
mod vacuum;
mod verify;

pub use commit_log::{CommitLog, Standing};
pub use config::{TextPolicy, TextPolicyError, WriteConfig};
pub use conflict::Conflict;
pub use error::Error;
pub use liveness::{FileLocks, Hold, Liveness};
pub use output::{Finished, Output};
pub use run_spec::RunSpec;
pub use sink::{ParquetAttempt, ParquetSink};
pub use survey::Broken;
pub use sweep::Swept;
pub use tables::{StoredFile, Tables};
pub use vacuum::{VacuumConfig, Vacuumed, vacuum};
pub use verify::{Defect, Depth, Event, Verified, VerifyConfig, verify};
