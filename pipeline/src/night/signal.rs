//! Signals outside of `run`, which handles its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::exit::{Exit, Failure};
use crate::signals::Signals;

/// Ends the process at a signal, unless a run is in progress: that finishes its file first. Every step may be killed at any
/// time, but once a run has listened for signals, the system's own handling does not come back.
#[derive(Clone, Debug)]
pub(crate) struct OutsideOfRun {
    running: Arc<AtomicBool>,
}

impl OutsideOfRun {
    /// Starts listening, on a thread of its own.
    ///
    /// # Errors
    /// The signal handlers cannot be installed.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let fail = |error: std::io::Error| Failure::new(Exit::Internal, error);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fail)?;
        let running = Arc::new(AtomicBool::new(false));
        let mut signals = runtime.block_on(async { Signals::new() }).map_err(fail)?;
        let in_run = running.clone();
        let watch = move || {
            runtime.block_on(async {
                loop {
                    let signal = signals.next().await;
                    if !in_run.load(Ordering::Acquire) {
                        tracing::warn!("interrupted; rerun to resume");
                        std::process::exit(Exit::Signal(signal).code().into());
                    }
                }
            })
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(watch).map_err(fail)?;
        Ok(Self { running })
    }

    /// Does what handles signals itself.
    pub(crate) fn except<T>(&self, run: impl FnOnce() -> T) -> T {
        self.running.store(true, Ordering::Release);
        let done = run();
        self.running.store(false, Ordering::Release);
        done
    }
}
