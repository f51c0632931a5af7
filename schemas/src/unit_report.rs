//! What a sink reports of each unit.

use std::sync::Arc;

use crate::{Commit, InputUnit, Tally};

/// What became of one unit.
#[derive(Clone, Debug)]
pub struct UnitReport {
    /// The unit.
    pub unit: Arc<InputUnit>,
    /// What the source met in it; zero for an abandoned unit.
    pub tally: Tally,
    /// How it ended.
    pub ending: Ending,
}

/// How a unit ended at the output.
#[derive(Clone, Debug)]
pub enum Ending {
    /// Committed; everything about it.
    Committed(Arc<Commit>),
    /// Somebody else has committed the same input with the same run spec; our parts are gone.
    Identical(Arc<Commit>),
    /// Nothing committed: the input is not what it should be.
    Quarantined {
        /// Why.
        reason: String,
    },
    /// Nothing committed: the stream ended before the unit did.
    Abandoned,
}
