//! The stream: operators, stages, sinks, and the rules that every chain of stages keeps.
//!
//! ```text
//! source ─► stage(operator) ═channel═► stage(operator) ═channel═► … ─► sink
//! ```
//!
//! An [`Operator`] takes a stream and returns a stream; it never spawns a task. [`stage`] runs one on its own task
//! behind a bounded channel: the channel *is* the backpressure. The rules, each tested in `tests/rules.rs`:
//!
//! 1. a full channel slows the source; memory does not grow with the input;
//! 2. a panic in a stage becomes a [`Fault`] at the sink, never a silent end of the stream;
//! 3. dropping the output aborts the work and cancels queued jobs; the first fault ends the stream;
//! 4. items keep the order in which the operator yields them;
//! 5. each stage meters its items, its busy time, and the time it waited for input and for the next stage.
//!
//! ```
//! use std::num::NonZeroUsize;
//!
//! use futures::StreamExt;
//! use pubtag_stream::{Flow, Meter, Meters, Operator, spawn_blocking, stage};
//!
//! /// Squares numbers, one at a time, on a blocking thread.
//! struct Square;
//!
//! impl Operator<u64> for Square {
//!     type Output = u64;
//!
//!     fn name(&self) -> &'static str {
//!         "square"
//!     }
//!
//!     fn apply(self, input: Flow<u64>, meter: Meter) -> Flow<u64> {
//!         Box::pin(input.then(move |number| {
//!             let meter = meter.clone();
//!             async move {
//!                 let number = number?;
//!                 meter.add_items(1);
//!                 spawn_blocking(&meter, move || number * number).await
//!             }
//!         }))
//!     }
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), pubtag_stream::Fault> {
//! let numbers: Flow<u64> = Box::pin(futures::stream::iter([2, 3]).map(Ok));
//! let mut squares = stage(Square, numbers, NonZeroUsize::MIN, &Meters::default());
//! assert_eq!(squares.next().await.transpose()?, Some(4));
//! assert_eq!(squares.next().await.transpose()?, Some(9));
//! # Ok(())
//! # }
//! ```

mod blocking;
mod fault;
mod meter;
mod operator;
mod panic;
mod sink;
mod stage;
mod write;

pub use blocking::{join_fault, spawn_blocking};
pub use fault::{Fault, FaultKind};
pub use meter::{Busy, Meter, Meters, Snapshot};
pub use operator::{Flow, Operator};
pub use panic::{panic_is_private, panic_message, with_public_panics, without_panic};
pub use sink::{Attempt, Sink};
pub use stage::{stage, stage_from};
pub use tokio_util::sync::CancellationToken;
pub use write::Write;
