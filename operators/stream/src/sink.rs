//! The traits that a destination of tagged records implements.
//!
//! ```text
//! begin ─► write ─► write ─► … ─► finish    the whole unit counts
//!                               └─► abandon   nothing of it counts
//! ```

use std::future::Future;
use std::sync::Arc;

use pubtag_schemas::{Close, CommitOutcome, Ending, InputUnit, TaggedRecord};

use crate::{Fault, Meter, join_fault};

/// A destination that takes each unit whole or not at all: Parquet files, a table format, an exporter.
///
/// [`Write`](crate::Write) turns it into an operator and enforces the rules that all sinks share.
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
    /// If the destination cannot accept it.
    fn begin(&self, unit: Arc<InputUnit>) -> impl Future<Output = Result<Self::Attempt, Fault>> + Send;

    /// Runs a step to its end even if the caller is dropped: a request to a store may take effect whether or not anyone
    /// awaits it. Override this if the sink has to wait for such steps before it cleans up.
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

/// One attempt at one unit. If it is dropped, or any step fails, nothing of the unit counts.
pub trait Attempt: Sized + Send + 'static {
    /// Writes the next records, in input order.
    ///
    /// # Errors
    /// If a record violates a guarantee of the previous stages, or the destination fails.
    fn write(&mut self, records: Vec<TaggedRecord>, meter: &Meter) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Commits the unit in one atomic step: [`Ending::Committed`], or [`Ending::Identical`] if another run was first.
    ///
    /// # Errors
    /// If the records do not match the source's counts, or the destination fails.
    fn finish(
        self,
        close: &Close,
        outcome: CommitOutcome,
        meter: &Meter,
    ) -> impl Future<Output = Result<Ending, Fault>> + Send;

    /// Gives up and removes what was written, as far as possible.
    fn abandon(self) -> impl Future<Output = ()> + Send;
}
