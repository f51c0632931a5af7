//! An output directory, and a run's hold on it.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use pubtag_stream::{Fault, FaultKind, join_fault};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::claim::{claim, create_durably};
use crate::error::STAGE;
use crate::layout::AttemptId;
use crate::objects::Objects;
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
    liveness: Arc<dyn Liveness>,
    run_id: Uuid,
    hold: Mutex<Option<Box<dyn Hold>>>,
    /// Attempts begun, across all clones: no two write under the same names.
    attempts: AtomicUsize,
    /// Steps of the writer in progress.
    steps: TaskTracker,
    /// Whether no further step may begin.
    closed: Mutex<bool>,
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
    /// Opens an output directory on local disk, as [`open`](Self::open) does on any store; creates it if necessary.
    ///
    /// # Errors
    /// If the directory cannot be created or written, and as [`open`](Self::open) does.
    pub async fn open_local(folder: &std::path::Path, run_id: Uuid) -> Result<(Self, CommitLog), Error> {
        let name = folder.display().to_string();
        let fail = |source: io::Error| Error::Folder { path: name.clone(), source };
        create_durably(folder).map_err(fail)?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| fail(error.into()))?.with_fsync(true);
        Self::open(name, Arc::new(store), Arc::new(FileLocks::new(folder)), run_id).await
    }

    /// Opens an output: checks that it is empty or an output of pubtag, marks the run as alive, sweeps the parts of dead
    /// attempts and reads what is committed. `name` is used in messages.
    ///
    /// # Errors
    /// If it contains other files, was written by a newer version, is damaged, or the store fails.
    pub async fn open(
        name: String,
        store: Arc<dyn ObjectStore>,
        liveness: Arc<dyn Liveness>,
        run_id: Uuid,
    ) -> Result<(Self, CommitLog), Error> {
        let shared = Shared {
            objects: Objects::new(name, store),
            liveness,
            run_id,
            hold: Mutex::new(None),
            attempts: AtomicUsize::new(0),
            steps: TaskTracker::new(),
            closed: Mutex::new(false),
            in_doubt: AtomicBool::new(false),
        };
        claim(&shared.objects).await?;
        let hold = shared.liveness.hold(run_id).await?;
        *shared.hold.lock().unwrap_or_else(PoisonError::into_inner) = Some(hold);
        let output = Self { shared: Arc::new(shared) };
        let (swept, survey) = sweep(output.objects(), output.liveness(), run_id, None).await?;
        if swept.parts > 0 {
            tracing::info!(parts = swept.parts, bytes = swept.bytes, "removed parts of dead attempts");
        }
        Ok((output, CommitLog::new(survey)))
    }

    /// The run that holds the output.
    pub fn run_id(&self) -> Uuid {
        self.shared.run_id
    }

    /// Ends the run, however its stream ended: waits for the current step, sweeps what this run and dead ones left, and
    /// releases the hold. From then on the tables' directories contain exactly the committed rows, and what live runs
    /// are writing.
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
        let done = (!self.shared.in_doubt.load(Ordering::Acquire)).then_some(self.run_id());
        let (swept, survey) = sweep(self.objects(), self.liveness(), self.run_id(), done).await?;
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

    pub(crate) fn liveness(&self) -> &dyn Liveness {
        self.shared.liveness.as_ref()
    }
}
