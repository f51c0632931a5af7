//! The one trait that every operator implements.

use std::pin::Pin;

use futures::Stream;

use crate::{Fault, Meter};

/// A stream of items that ends at its first fault.
pub type Flow<T> = Pin<Box<dyn Stream<Item = Result<T, Fault>> + Send>>;

/// A step of the pipeline: takes a stream and returns a stream.
///
/// # Contract
/// - *Ordering*: each implementation documents how its output is ordered relative to its input.
/// - *Memory*: it holds a bounded, documented number of items.
/// - *Cancellation*: dropping the returned stream drops the input and stops the work; nothing is spawned that outlives
///   it, except a blocking call that has already started, which ends by itself.
/// - *Rejects*: a bad record is passed on as a reject. A fault is the last item of the stream.
/// - CPU-bound work runs through [`spawn_blocking`](crate::spawn_blocking), never on the task itself.
pub trait Operator<I>: Send + 'static {
    /// The items it yields.
    type Output: Send + 'static;

    /// The name of its stage in reports and errors.
    fn name(&self) -> &'static str;

    /// Wraps the input stream.
    fn apply(self, input: Flow<I>, meter: Meter) -> Flow<Self::Output>;
}
