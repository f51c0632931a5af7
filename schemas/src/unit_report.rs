//! What a sink reports for each unit.

use std::sync::Arc;

use crate::{Commit, InputUnit, Tally};

/// The result of one unit.
#[derive(Clone, Debug)]
pub struct UnitReport {
    /// The unit.
    pub unit: Arc<InputUnit>,
    /// Records that the source found in it; zero for an abandoned unit.
    pub tally: Tally,
    /// How it ended.
    pub ending: Ending,
}

/// How a unit ended at the sink.
#[derive(Clone, Debug)]
pub enum Ending {
    /// Committed by this run.
    Committed(Arc<Commit>),
    /// Another run committed the same input with the same run spec first; this run's parts were removed.
    Identical(Arc<Commit>),
    /// Not committed: the input is damaged or not what it should be.
    Quarantined {
        /// Why.
        reason: String,
    },
    /// Not committed: the stream ended before the unit did.
    Abandoned,
}
