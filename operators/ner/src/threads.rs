//! Threads of the CPU's arithmetic.

use std::num::NonZeroUsize;

use crate::NerError;

/// Sets the number of threads for the whole process; call it before any model is loaded. The default is the number of
/// processors available to the process.
///
/// # Errors
/// If threads are already running or cannot be started.
pub fn use_threads(threads: NonZeroUsize) -> Result<(), NerError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.get())
        .thread_name(|number| format!("model-{number}"))
        .build_global()
        .map_err(unstarted)
}

/// Does work on threads of its own, which end with it. Unlike those of [`use_threads`], they can be had again in a process
/// that was forked, where no thread lives on.
///
/// # Errors
/// If they cannot be started.
pub fn on_own_threads<T: Send>(threads: NonZeroUsize, work: impl FnOnce() -> T + Send) -> Result<T, NerError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.get()).build().map_err(unstarted)?;
    Ok(pool.install(work))
}

fn unstarted(error: rayon::ThreadPoolBuildError) -> NerError {
    NerError::Spawn(std::io::Error::other(error))
}
