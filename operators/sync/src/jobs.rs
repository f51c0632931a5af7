//! Jobs on a few threads, one connection each.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use pubtag_stream::FaultKind;

use crate::error::SyncError;
use crate::server::Server;

/// Jobs in a row that may fail for want of the server before it counts as unreachable.
const MOST_FAILURES: usize = 8;

/// How often progress is shown.
const TICK: Duration = Duration::from_millis(200);

/// Does jobs in their order, a few at a time, and hands over each result on the calling thread as it comes.
///
/// # Errors
/// A failure that is not about one file, or many failures in a row: the jobs at hand end, the others are not begun.
pub(crate) fn run<J: Sync, R: Send>(
    server: &Server,
    jobs: &[J],
    connections: usize,
    work: impl Fn(&J) -> Result<R, SyncError> + Sync,
    mut each: impl FnMut(Happened<'_, J, R>),
) -> Result<(), SyncError> {
    let next = AtomicUsize::new(0);
    let (sender, results) = mpsc::channel();
    let mut fatal = None;
    std::thread::scope(|scope| {
        for _ in 0..connections.min(jobs.len()) {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                while !server.is_stopped()
                    && let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed))
                    && sender.send((job, work(job))).is_ok()
                {}
            });
        }
        drop(sender);
        let mut failures = 0;
        loop {
            match results.recv_timeout(TICK) {
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => each(Happened::Nothing),
                // What ends after that was stopped.
                Ok(_) if fatal.is_some() => {}
                Ok((_, Err(error))) if !error.is_about_one_file() => fatal = Some(error),
                Ok((job, Err(error))) => {
                    failures = if error.kind() == FaultKind::Data { 0 } else { failures + 1 };
                    if failures == MOST_FAILURES {
                        fatal = Some(SyncError::Unreachable { failures, source: Box::new(error) });
                    } else {
                        each(Happened::Failed(job, error));
                    }
                }
                Ok((job, Ok(result))) => {
                    failures = 0;
                    each(Happened::Done(job, result));
                }
            }
            if fatal.is_some() {
                server.stop.store(true, Ordering::Relaxed);
            }
        }
    });
    fatal.map_or(Ok(()), Err)
}

/// Progress of the jobs, for the calling thread.
pub(crate) enum Happened<'a, J, R> {
    /// Time has passed.
    Nothing,
    /// A job is done.
    Done(&'a J, R),
    /// A job has failed; the others go on.
    Failed(&'a J, SyncError),
}
