//! Ctrl-C and SIGTERM: the first finishes the current file, the second stops at once.

use std::future::Future;
use std::time::Duration;

use pubtag_stream::CancellationToken;
use tokio::sync::watch;

use crate::exit::{Exit, Failure};

/// What the signals so far request of a run.
#[derive(Clone, Debug)]
pub struct Shutdown {
    /// Cancelled by the first signal: start-up ends, or the source opens no more files.
    pub drain: CancellationToken,
    /// Cancelled by the second signal, or at the end of the grace period: everything is dropped.
    pub abort: CancellationToken,
    signal: watch::Receiver<Option<i32>>,
}

impl Shutdown {
    /// Starts listening for SIGINT and SIGTERM. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The signal handlers cannot be installed.
    pub fn listen(grace: Duration) -> std::io::Result<Self> {
        let (drain, abort) = (CancellationToken::new(), CancellationToken::new());
        let (sender, signal) = watch::channel(None);
        let mut signals = Signals::new()?;
        let (to_drain, to_abort) = (drain.clone(), abort.clone());
        tokio::spawn(async move {
            let first = signals.next().await;
            // There may be no receiver left; the tokens are enough.
            let _ = sender.send(Some(first));
            tracing::warn!(
                grace_s = grace.as_secs(),
                "interrupted: finishing the current file; send another signal to stop at once"
            );
            to_drain.cancel();
            tokio::select! {
                _ = signals.next() => {}
                () = tokio::time::sleep(grace) => tracing::warn!("grace period over: abandoning the current file"),
            }
            to_abort.cancel();
        });
        Ok(Self { drain, abort, signal })
    }

    /// The first signal, if any.
    pub fn signal(&self) -> Option<i32> {
        *self.signal.borrow()
    }

    /// Does work that can be dropped at any time: the first signal ends it.
    ///
    /// # Errors
    /// The work's own error, or the signal.
    pub(crate) async fn unless_signalled<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let done = tokio::select! {
            biased;
            () = self.drain.cancelled() => None,
            done = work => Some(done),
        };
        match done {
            Some(Ok(done)) => Ok(done),
            // Work that notices the signal itself may end first; that is not a failure.
            Some(Err(failure)) if !self.drain.is_cancelled() => Err(failure),
            _ => {
                let message = "interrupted before the first citation; nothing was tagged";
                Err(Failure::message(Exit::Signal(self.signal().unwrap_or_default()), message))
            }
        }
    }
}

/// SIGINT and SIGTERM.
#[cfg(unix)]
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// Starts listening. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The signal handlers cannot be installed.
    pub(crate) fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// The next signal.
    pub(crate) async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => 2,
            _ = self.terminate.recv() => 15,
        }
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    /// Starts listening. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The signal handlers cannot be installed.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    /// The next signal.
    pub(crate) async fn next(&mut self) -> i32 {
        // On an error, no Ctrl-C can ever arrive.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        2
    }
}
