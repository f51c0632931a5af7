//! What a destination of tagged records implements.
//!
//! ```text
//! begin ─► write ─► write ─► … ─► finish   the unit counts, whole
//!                               └► abandon  nothing of it counts
//! ```

use std::future::Future;
use std::sync::Arc;

use pubtag_schemas::{Close, CommitOutcome, Ending, InputUnit, TaggedRecord};

use crate::{Fault, Meter, join_fault};

/// A destination that takes a unit whole or not at all: Parquet files, a table format, an exporter.
///
/// [`Write`](crate::Write) makes an operator of it and keeps the rules that all sinks share.
pub trait Sink: Send + Sync + 'static {
    /// One attempt at one unit.
    type Attempt: Attempt;

    /// The name of the stage in reports and errors.
    fn name(&self) -> &'static str {
        "write"
    }

    /// Begins an attempt at a unit.
    ///
    /// # Errors
    /// If the destination cannot take it.
    fn begin(&self, unit: Arc<InputUnit>) -> impl Future<Output = Result<Self::Attempt, Fault>> + Send;

    /// Runs a step to its end, even if its caller is dropped: what a store has been asked to do happens whether anyone
    /// waits for it or not. A sink that cleans up after itself overrides this, to wait for such steps first.
    ///
    /// # Errors
    /// If the step panics.
    fn uninterrupted<T: Send + 'static>(
        &self,
        step: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = Result<T, Fault>> + Send {
        let (name, task) = (self.name(), tokio::spawn(step));
        async move { task.await.map_err(|error| join_fault(name, error)) }
    }
}

/// One attempt at one unit. Dropping it, or a failure of any step, leaves nothing that counts.
pub trait Attempt: Sized + Send + 'static {
    /// Takes the next records, in input order.
    ///
    /// # Errors
    /// If a record breaks a rule of the stages before, or the destination fails.
    fn write(&mut self, records: Vec<TaggedRecord>, meter: &Meter) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Makes the unit count, in one step. [`Ending::Committed`], or [`Ending::Identical`] if another run was first.
    ///
    /// # Errors
    /// If the records are not those that the source counted, or the destination fails.
    fn finish(
        self,
        close: &Close,
        outcome: CommitOutcome,
        meter: &Meter,
    ) -> impl Future<Output = Result<Ending, Fault>> + Send;

    /// Gives up and removes what was written, as far as possible.
    fn abandon(self) -> impl Future<Output = ()> + Send;
}
