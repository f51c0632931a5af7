//! The sink: tagged records in, Parquet tables out, committed per input by one small marker.
//!
//! ```text
//! Packet<TaggedRecord> ─► rows ─► encoder ─► part files ═╗
//!                                                        ╠═► marker (create if absent) ─► UnitReport
//! Ledger (what is committed) ────────────────────────────╝
//! ```
//!
//! The unit of commit is one input. Its parts are written under names that no other attempt uses, and count for nothing
//! until the marker that names them stands: creating it is the commit point. Whatever dies before it leaves parts that
//! no marker names; the next run sweeps them, and never touches those of a run that lives ([`Liveness`]). So a run can be
//! killed at any moment and run again, and the tables hold the same rows.
//!
//! ```text
//! OUT/annotations/<stem>-<run id>-<attempt>-<number>.parquet     documents/ and rejects/ likewise
//! OUT/_pubtag/output.json                                      says that the folder is ours
//! OUT/_pubtag/commits/<32 hex of the input's key>.json         the markers: Commit
//! OUT/_pubtag/attempts/<run id>.lock                           locked while the run lives
//! ```

mod attempt;
mod commit_log;
mod digest;
mod encode;
mod error;
mod layout;
mod liveness;
mod output;
mod properties;
mod publish;
mod rows;
mod run_spec;
mod survey;
mod sweep;
mod upload;
mod verify;
mod write;

pub use commit_log::{CommitLog, Conflict, Standing};
pub use error::Error;
pub use liveness::{FileLocks, Hold, Liveness};
pub use output::{Finished, Output};
pub use rows::{TextPolicy, TextPolicyError};
pub use run_spec::RunSpec;
pub use survey::Broken;
pub use sweep::Swept;
pub use verify::{Defect, Depth, Event, Verified, VerifyConfig, verify, verify_local};
pub use write::{Write, WriteConfig};
