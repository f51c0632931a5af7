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
        .map_err(|error| NerError::Spawn(std::io::Error::other(error)))
}
