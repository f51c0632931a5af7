//! The threads that the stages run on.

use std::num::NonZeroUsize;

use tokio::runtime::{Builder, Runtime};

use crate::exit::{Exit, Failure};

/// Threads of the stages themselves, which only pass items on.
const WORKERS: usize = 2;

/// Blocking threads in addition to those that tokenize: one that reads, and one that writes. All other blocking work
/// waits its turn; each further thread would keep memory of its own (`tests/bench/memory.py`).
const SPARE: usize = 2;

/// A runtime for the stream.
///
/// # Errors
/// A thread cannot be started.
pub(crate) fn runtime(threads: NonZeroUsize) -> Result<Runtime, Failure> {
    let blocking = threads.get() + SPARE;
    let mut builder = Builder::new_multi_thread();
    let built = builder.enable_all().worker_threads(WORKERS).max_blocking_threads(blocking).build();
    built.map_err(|error| Failure::new(Exit::Internal, error))
}

/// Runs blocking work on a thread for blocking work.
///
/// # Errors
/// The work's own error, or its panic.
pub(crate) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::new(Exit::Internal, error))?
}
