//! How many threads the CPU's arithmetic uses.

use std::num::NonZeroUsize;

use crate::NerError;

/// Sets the number of threads for the whole process, before any model is loaded. Without it, there are as many as the
/// process may use processors.
///
/// # Errors
/// If threads are at work already, or cannot be started.
pub fn use_threads(threads: NonZeroUsize) -> Result<(), NerError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.get())
        .thread_name(|number| format!("model-{number}"))
        .build_global()
        .map_err(|error| NerError::Spawn(std::io::Error::other(error)))
}
