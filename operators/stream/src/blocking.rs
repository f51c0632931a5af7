//! CPU-bound work on blocking threads, with panics kept and time metered.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::JoinHandle;

use crate::panic::with_private_panics;
use crate::{Fault, Meter};

/// Work on a blocking thread. Dropping it drops the result; the thread ends when the work does.
#[derive(Debug)]
pub struct Blocking<T> {
    handle: JoinHandle<T>,
    stage: &'static str,
}

/// Runs CPU-bound work on a blocking thread and counts its time as the stage's time at work.
///
/// # Errors
/// The future yields a [`Fault`] if the work panics.
pub fn spawn_blocking<T: Send + 'static>(meter: &Meter, work: impl FnOnce() -> T + Send + 'static) -> Blocking<T> {
    let (meter, stage) = (meter.clone(), meter.snapshot().stage);
    let handle = tokio::task::spawn_blocking(move || {
        let _busy = meter.busy();
        // It becomes a fault.
        with_private_panics(work)
    });
    Blocking { handle, stage }
}

impl<T> Future for Blocking<T> {
    type Output = Result<T, Fault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let stage = self.stage;
        Pin::new(&mut self.handle).poll(cx).map(|joined| joined.map_err(|error| join_fault(stage, error)))
    }
}

/// What a task's failure to end means for the stream.
pub fn join_fault(stage: &'static str, error: tokio::task::JoinError) -> Fault {
    match error.try_into_panic() {
        Ok(payload) => Fault::panic(stage, payload.as_ref()),
        Err(error) => Fault::new(stage, crate::FaultKind::Internal, error),
    }
}
