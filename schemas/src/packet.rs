//! What travels between operators: items in order, framed by the file that they come from.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::InputUnit;

/// A piece of the stream. Units never interleave: `Open`, any number of `Items`, `Close`, then the next unit.
#[derive(Clone, Debug)]
pub enum Packet<T> {
    /// A unit begins.
    Open(Arc<InputUnit>),
    /// Some items of the unit that is open, in file order. Bounded by the source in number and bytes.
    Items(Vec<T>),
    /// The unit that is open has ended.
    Close(Close),
}

/// How a unit ended, and what the source counted in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Close {
    /// The unit.
    pub unit: Arc<InputUnit>,
    /// What the source met, counted where it was met.
    pub tally: Tally,
    /// Bytes read from the file as it lies on disk.
    pub bytes: u64,
    /// SHA-256 of the whole file, lower-case hex, whatever part of it became records. Equal to the unit's own where
    /// that was known beforehand, unless the file has changed.
    pub sha256: String,
    /// Whether the unit may be committed.
    pub outcome: Outcome,
}

/// Whether a unit was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Read to its end.
    Complete,
    /// Read up to a defect that ends the file early, and accepted all the same (`--accept-partial`); the reason.
    Partial(String),
    /// Cut short on purpose (`--limit`).
    Limited,
    /// Not to be committed: the file is truncated, corrupt or not what it should be; the reason.
    Quarantined(String),
}

/// What was met in a unit. The reconciliation of a run: `citations + deletions + rejects` = rows of `documents` + rows of
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
    /// All records met.
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
