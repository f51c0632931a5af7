//! What travels between operators: items in order, framed by the file they come from.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::InputUnit;

/// A piece of the stream. Units never interleave: `Open`, any number of `Items`, `Close`, then the next unit.
#[derive(Clone, Debug)]
pub enum Packet<T> {
    /// A unit begins.
    Open(Arc<InputUnit>),
    /// Items of the open unit, in file order. The source bounds their number and size.
    Items(Vec<T>),
    /// The open unit has ended.
    Close(Close),
}

/// How a unit ended, and what the source counted in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Close {
    /// The unit.
    pub unit: Arc<InputUnit>,
    /// Records found, counted by the source.
    pub tally: Tally,
    /// Bytes read from the file on disk.
    pub bytes: u64,
    /// SHA-256 of the whole file, lower-case hex, even if only a part of it became records. Equal to the unit's own,
    /// where known beforehand, unless the file has changed.
    pub sha256: String,
    /// Whether the unit may be committed.
    pub outcome: Outcome,
}

/// Whether a unit was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Read to its end.
    Complete,
    /// Read up to a defect that ended the file early, accepted with `--accept-partial`; the reason.
    Partial(String),
    /// Read up to the requested `--limit`.
    Limited,
    /// Must not be committed: the file is truncated, corrupt or not what it should be; the reason.
    Quarantined(String),
}

/// Records found in a unit. A run is reconciled if `citations + deletions + rejects` = rows of `documents` + rows of
/// `rejects`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Citations read.
    pub citations: u64,
    /// Deletions read.
    pub deletions: u64,
    /// Records that could not be read.
    pub rejects: u64,
}

impl Tally {
    /// All records.
    pub fn records(self) -> u64 {
        self.citations + self.deletions + self.rejects
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.citations += other.citations;
        self.deletions += other.deletions;
        self.rejects += other.rejects;
    }
}
