//! CPU-bound work on blocking threads: metered, cancelled with its caller, its panics kept.

use tokio_util::task::AbortOnDropHandle;

use crate::panic::with_private_panics;
use crate::{Fault, FaultKind, Meter};

/// Runs CPU-bound work on a blocking thread and counts its time as the stage's busy time.
///
/// *Cancellation*: dropping the future cancels work that has not started. A blocking thread cannot be interrupted, so
/// work that has started runs to its end, and its result is dropped.
///
/// # Errors
/// A [`Fault`] if the work panics.
pub async fn spawn_blocking<T: Send + 'static>(
    meter: &Meter,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    let (meter, stage) = (meter.clone(), meter.snapshot().stage);
    let task = tokio::task::spawn_blocking(move || {
        let _busy = meter.busy();
        // A panic becomes a fault, so it concerns nobody else.
        with_private_panics(work)
    });
    AbortOnDropHandle::new(task).await.map_err(|error| join_fault(stage, error))
}

/// Turns a task's failure to finish into a fault of its stage.
pub fn join_fault(stage: &'static str, error: tokio::task::JoinError) -> Fault {
    match error.try_into_panic() {
        Ok(payload) => Fault::panic(stage, payload.as_ref()),
        Err(error) => Fault::new(stage, FaultKind::Internal, error),
    }
}
