//! An output directory, and a run's hold on it.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use pubtag_store::Store;
use pubtag_stream::{Fault, FaultKind, join_fault};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::age::{Age, MOST_AGE};
use crate::error::STAGE;
use crate::layout::AttemptId;
use crate::mark::mark;
use crate::objects::Objects;
use crate::survey::{Survey, read};
use crate::sweep::sweep;
use crate::{Broken, CommitLog, Error, FileLocks, Hold, Liveness, Swept};

/// How long to wait for the current step of a dropped stream before its leftovers are left to the next run.
const LAST_STEP: Duration = Duration::from_secs(10);

/// An output directory, held by one run. Clones share the hold; it ends with [`finish`](Self::finish) or the last clone.
///
/// Any number of runs may hold the same output, each with its own inputs.
#[derive(Clone, Debug)]
pub struct Output {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    objects: Objects,
    /// Absent where nobody can tell which runs are alive: then a run removes nothing.
    liveness: Option<Arc<dyn Liveness>>,
    run_id: Uuid,
    hold: Mutex<Option<Box<dyn Hold>>>,
    /// Attempts begun, across all clones: no two write under the same names.
    attempts: AtomicUsize,
    /// Steps of the writer in progress.
    steps: TaskTracker,
    /// Whether no further step may begin.
    closed: Mutex<bool>,
    /// What was swept when the output was opened.
    swept: OnceLock<Swept>,
    /// Whether commits had lost parts when the output was opened.
    was_broken: AtomicBool,
    /// Whether a marker of this run may still come into force although the store reported a failure.
    in_doubt: AtomicBool,
}

/// The state in which a run left its output.
#[derive(Debug, Default)]
pub struct Finished {
    /// What was swept.
    pub swept: Swept,
    /// Commits whose parts are missing or changed.
    pub broken: Vec<Broken>,
}

impl Output {
    /// Opens an output: a directory on local disk with its lock files, or a place in an object store, where nobody can
    /// tell which runs are alive.
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with).
    pub async fn open(store: Store, run_id: Uuid) -> Result<(Self, CommitLog), Error> {
        let locks = store.folder().map(|folder| Arc::new(FileLocks::new(folder)) as Arc<dyn Liveness>);
        Self::open_with(store, locks, run_id).await
    }

    /// Opens an output: checks that it is empty or an output of pubtag, marks the run as alive, sweeps the parts of dead
    /// attempts and reads what is committed.
    ///
    /// # Errors
    /// If it contains other files, was written by a newer version, is damaged, or the store fails.
    pub async fn open_with(
        store: Store,
        liveness: Option<Arc<dyn Liveness>>,
        run_id: Uuid,
    ) -> Result<(Self, CommitLog), Error> {
        let shared = Shared {
            objects: Objects::with_locks(store, liveness.is_some()),
            liveness,
            run_id,
            hold: Mutex::new(None),
            attempts: AtomicUsize::new(0),
            steps: TaskTracker::new(),
            closed: Mutex::new(false),
            swept: OnceLock::new(),
            was_broken: AtomicBool::new(false),
            in_doubt: AtomicBool::new(false),
        };
        let output = Self { shared: Arc::new(shared) };
        mark(output.objects()).await?;
        if let Some(liveness) = output.liveness() {
            let hold = liveness.hold(run_id).await?;
            *output.shared.hold.lock().unwrap_or_else(PoisonError::into_inner) = Some(hold);
        }
        let (swept, survey) = output.sweep(None).await?;
        if swept.parts > 0 {
            tracing::info!(parts = swept.parts, bytes = swept.bytes, "removed parts of dead attempts");
        }
        // Set only here.
        let _ = output.shared.swept.set(swept);
        output.shared.was_broken.store(!survey.broken.is_empty(), Ordering::Relaxed);
        Ok((output, CommitLog::new(survey)))
    }

    /// What was swept when the output was opened.
    pub(crate) fn swept(&self) -> Swept {
        self.shared.swept.get().copied().unwrap_or_default()
    }

    /// Sweeps where it is known which runs are alive; elsewhere only reads what is committed.
    async fn sweep(&self, done: Option<Uuid>) -> Result<(Swept, Survey), Error> {
        match self.liveness() {
            Some(liveness) => sweep(self.objects(), liveness, self.run_id(), done).await,
            None => Ok((Swept::default(), read(self.objects()).await?)),
        }
    }

    /// The commits that have lost parts, where they are not looked for at the end of every run: only if there were any when the
    /// output was opened.
    async fn still_broken(&self) -> Result<Vec<Broken>, Error> {
        if self.shared.was_broken.load(Ordering::Relaxed) {
            Ok(read(self.objects()).await?.broken)
        } else {
            Ok(Vec::new())
        }
    }

    /// The run that holds the output.
    pub fn run_id(&self) -> Uuid {
        self.shared.run_id
    }

    /// Ends the run, however its stream ended: waits for the current step, sweeps what this run and dead ones left, and
    /// releases the hold. From then on the tables' directories contain exactly the committed rows, and what live runs
    /// are writing.
    ///
    /// In an object store, nothing is swept: `vacuum` does that.
    ///
    /// A run whose last step does not end, or whose marker may still come into force, leaves its parts to the next run.
    ///
    /// # Errors
    /// If something uncommitted cannot be removed.
    pub async fn finish(self) -> Result<Finished, Error> {
        if !self.is_quiet().await {
            tracing::warn!("timed out waiting for the output; the next run will remove leftovers");
            return Ok(Finished::default());
        }
        if self.liveness().is_none() {
            return Ok(Finished { swept: Swept::default(), broken: self.still_broken().await? });
        }
        let done = (!self.shared.in_doubt.load(Ordering::Acquire)).then_some(self.run_id());
        let (swept, survey) = self.sweep(done).await?;
        let hold = self.shared.hold.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(hold) = hold {
            hold.release().await?;
        }
        Ok(Finished { swept, broken: survey.broken })
    }

    /// Runs a step of the writer to its end even if the caller is dropped. The run stays alive until then, and nothing is
    /// swept before: a request to the store may take effect whether or not anyone awaits it.
    ///
    /// # Errors
    /// If the step panics, or the run has already ended.
    pub(crate) async fn uninterrupted<T: Send + 'static>(
        &self,
        step: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Fault> {
        let held = self.clone();
        let task = {
            let closed = self.shared.closed.lock().unwrap_or_else(PoisonError::into_inner);
            if *closed {
                return Err(Fault::new(STAGE, FaultKind::Internal, "the run has ended"));
            }
            self.shared.steps.spawn(async move {
                let done = step.await;
                drop(held);
                done
            })
        };
        task.await.map_err(|error| join_fault(STAGE, error))
    }

    /// Lets no further step begin and waits for the current one; false on timeout.
    async fn is_quiet(&self) -> bool {
        *self.shared.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.steps.close();
        tokio::time::timeout(LAST_STEP, self.shared.steps.wait()).await.is_ok()
    }

    /// Refuses to commit an attempt whose parts `vacuum` might remove.
    pub(crate) fn check_age(&self, uri: &str, begun: Age) -> Result<(), Error> {
        if self.liveness().is_none() && begun.elapsed() > MOST_AGE {
            return Err(Error::TooOld { uri: uri.to_owned() });
        }
        Ok(())
    }

    /// Notes that a marker of this run may still come into force at any time.
    pub(crate) fn doubt(&self) {
        self.shared.in_doubt.store(true, Ordering::Release);
    }

    /// Names a new attempt.
    pub(crate) fn next_attempt(&self) -> AttemptId {
        AttemptId { run_id: self.run_id(), number: self.shared.attempts.fetch_add(1, Ordering::Relaxed) }
    }

    pub(crate) fn objects(&self) -> &Objects {
        &self.shared.objects
    }

    pub(crate) fn liveness(&self) -> Option<&dyn Liveness> {
        self.shared.liveness.as_deref()
    }
}
