//! For tests: a store and locks whose every call is a named [`Point`], where a [`Director`] decides what happens.
//!
//! ```text
//! pubtag-parquet ─► PointStore / PointLiveness ─► before(point) ─► the call ─► after(point)
//! ```
//!
//! A call that changes something runs on a separate task, as it would on a blocking thread or on the network: dropping
//! the caller does not stop it.

mod director;
mod environment;
mod liveness;
mod point;
mod store;

pub use director::{Director, Verdict};
pub use environment::{CRASH, CRASH_LOG, Crash, CrashError, Mode, from_environment};
pub use liveness::PointLiveness;
pub use point::{Call, Point};
pub use store::PointStore;
