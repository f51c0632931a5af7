//! A worker ends with its parent.

use crate::exit::Failure;

/// Has the system send SIGTERM once the thread that started this process ends, on Linux. Standard input also ends then, but
/// a worker in the middle of an input would notice that only at its end.
///
/// # Errors
/// The system refuses.
#[cfg(target_os = "linux")]
pub(crate) fn end_with_parent() -> Result<(), Failure> {
    use crate::exit::Exit;
    use rustix::process::{Signal, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::TERM)).map_err(|error| Failure::new(Exit::Internal, error))
}

/// Only Linux tells a process that its parent has ended; elsewhere, the end of standard input does.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "as on Linux")]
pub(crate) fn end_with_parent() -> Result<(), Failure> {
    Ok(())
}
