//! The output folder, and a run's hold on it.

use std::fs::{self, File};
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, UpdateVersion};
use pubtag_schemas::{COMMIT_VERSION, Commit, SCHEMA_VERSION};
use pubtag_stream::{Fault, FaultKind, join_fault};
use serde::{Deserialize, Serialize};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::error::STAGE;
use crate::layout::AttemptId;
use crate::{Broken, CommitLog, Error, FileLocks, Hold, Liveness, Swept, layout, sweep};

/// How many small requests are under way at once.
pub(crate) const CONCURRENT_REQUESTS: usize = 16;

/// How long the step at hand of a run that was dropped may take to end before its leftovers are left to the next run.
const LAST_STEP: Duration = Duration::from_secs(10);

/// An output folder, held by one run. Clones share the hold; it ends with [`finish`](Self::finish) or the last clone.
///
/// Any number of runs may hold the same folder, each with inputs of its own.
#[derive(Clone, Debug)]
pub struct Output {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// How messages name the folder.
    name: String,
    store: Arc<dyn ObjectStore>,
    liveness: Arc<dyn Liveness>,
    run_id: Uuid,
    hold: Mutex<Option<Box<dyn Hold>>>,
    /// Attempts begun, over all clones: no two write under the same names.
    attempts: AtomicUsize,
    /// Steps of the writer that are under way.
    steps: TaskTracker,
    /// Whether no step may begin any more.
    closed: Mutex<bool>,
    /// Whether a marker of this run may come into force after the store has failed to say so.
    in_doubt: AtomicBool,
}

/// How a run left its output.
#[derive(Debug, Default)]
pub struct Finished {
    /// What was swept.
    pub swept: Swept,
    /// Commits whose parts are missing or changed.
    pub broken: Vec<Broken>,
}

/// A marker as it stands in the store.
#[derive(Debug)]
pub(crate) struct Marker {
    pub(crate) commit: Commit,
    /// Which version of the object it was read from.
    pub(crate) version: UpdateVersion,
}

/// The content of `output.json`.
#[derive(Debug, Serialize, Deserialize)]
struct OutputMark {
    schema_version: u32,
    created: String,
}

impl Output {
    /// Opens an output folder on local disk, as [`open`](Self::open) does on any store, and makes it if it is not there.
    ///
    /// # Errors
    /// If the folder cannot be made or written, and as [`open`](Self::open) does.
    pub async fn open_local(folder: &std::path::Path, run_id: Uuid) -> Result<(Self, CommitLog), Error> {
        let name = folder.display().to_string();
        let fail = |source: io::Error| Error::Folder { path: name.clone(), source };
        create_durably(folder).map_err(fail)?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| fail(error.into()))?.with_fsync(true);
        Self::open(name, Arc::new(store), Arc::new(FileLocks::new(folder)), run_id).await
    }

    /// Opens an output: checks that it is ours or empty, marks the run as alive, sweeps the parts of dead attempts and
    /// reads what is committed. `name` is how messages name it.
    ///
    /// # Errors
    /// If it holds something else, was written by a newer program, is damaged, or the store fails.
    pub async fn open(
        name: String,
        store: Arc<dyn ObjectStore>,
        liveness: Arc<dyn Liveness>,
        run_id: Uuid,
    ) -> Result<(Self, CommitLog), Error> {
        let shared = Shared {
            name,
            store,
            liveness,
            run_id,
            hold: Mutex::new(None),
            attempts: AtomicUsize::new(0),
            steps: TaskTracker::new(),
            closed: Mutex::new(false),
            in_doubt: AtomicBool::new(false),
        };
        shared.claim().await?;
        let hold = shared.liveness.hold(run_id).await?;
        *shared.hold.lock().unwrap_or_else(PoisonError::into_inner) = Some(hold);
        let output = Self { shared: Arc::new(shared) };
        let (swept, survey) = sweep::sweep(&output, None).await?;
        if swept.parts > 0 {
            tracing::info!(parts = swept.parts, bytes = swept.bytes, "removed the parts of dead attempts");
        }
        Ok((output, CommitLog::new(survey)))
    }

    /// The run that holds the output.
    pub fn run_id(&self) -> Uuid {
        self.shared.run_id
    }

    /// Ends the run, however its stream has ended: waits for the step at hand, sweeps what this run and dead ones left,
    /// and releases the hold. From then on the tables' folders hold exactly the committed rows, and what runs that are
    /// still alive write.
    ///
    /// A run whose last step does not end, or whose marker may still come into force, leaves its own parts to the next.
    ///
    /// # Errors
    /// If something uncommitted stays.
    pub async fn finish(self) -> Result<Finished, Error> {
        if !self.is_quiet().await {
            tracing::warn!("the output is slow to answer; the next run removes what this one leaves");
            return Ok(Finished::default());
        }
        let done = (!self.shared.in_doubt.load(Ordering::Acquire)).then_some(self.run_id());
        let (swept, survey) = sweep::sweep(&self, done).await?;
        let hold = self.shared.hold.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(hold) = hold {
            hold.release().await?;
        }
        Ok(Finished { swept, broken: survey.broken })
    }

    /// Runs a step of the writer to its end, even if its caller is dropped: what the store has been asked to do happens
    /// whether anyone waits for it or not, so that nobody may sweep before it has. The run stays alive until then.
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

    /// Lets no further step begin and waits for the one that is under way; false if it takes too long.
    async fn is_quiet(&self) -> bool {
        *self.shared.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.steps.close();
        tokio::time::timeout(LAST_STEP, self.shared.steps.wait()).await.is_ok()
    }

    /// Notes that a marker of this run may come into force later than anyone can tell.
    pub(crate) fn doubt(&self) {
        self.shared.in_doubt.store(true, Ordering::Release);
    }

    /// Names a new attempt.
    pub(crate) fn next_attempt(&self) -> AttemptId {
        AttemptId { run_id: self.run_id(), number: self.shared.attempts.fetch_add(1, Ordering::Relaxed) }
    }

    /// Reads all markers.
    pub(crate) async fn commits(&self) -> Result<Vec<Commit>, Error> {
        let folder = Path::from(layout::COMMITS);
        let markers: Vec<_> =
            self.store().list(Some(&folder)).try_collect().await.map_err(self.failed("list", &folder))?;
        futures::stream::iter(markers)
            .map(|marker| async move { self.read_marker(&marker.location).await })
            .buffered(CONCURRENT_REQUESTS)
            .try_filter_map(async |found| Ok(found.map(|marker| marker.commit)))
            .try_collect()
            .await
    }

    /// Reads a marker, if it is there.
    pub(crate) async fn read_marker(&self, path: &Path) -> Result<Option<Marker>, Error> {
        let Some((bytes, version)) = self.shared.read(path).await? else { return Ok(None) };
        let commit = parse_commit(&bytes, || self.full_name(path))?;
        Ok(Some(Marker { commit, version }))
    }

    /// Removes the marker of a commit, unless another commit has taken its place. Only for who holds the lock on
    /// replacing.
    pub(crate) async fn remove_marker(&self, commit: &Commit) -> Result<(), Error> {
        let path = layout::marker(commit.input.key());
        match self.read_marker(&path).await? {
            Some(found) if found.commit.attempt_id == commit.attempt_id => self.delete(vec![path]).await,
            _ => Ok(()),
        }
    }

    /// Deletes objects; those that are gone already count as deleted.
    pub(crate) async fn delete(&self, paths: Vec<Path>) -> Result<(), Error> {
        for path in paths {
            match self.store().delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(self.failed("delete", &path)(error)),
            }
        }
        Ok(())
    }

    pub(crate) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.shared.store
    }

    pub(crate) fn liveness(&self) -> &dyn Liveness {
        self.shared.liveness.as_ref()
    }

    /// How messages name an object.
    pub(crate) fn full_name(&self, path: &Path) -> String {
        format!("{}/{path}", self.shared.name)
    }

    /// Turns a failure of the store into an error.
    pub(crate) fn failed<'a>(
        &'a self,
        action: &'static str,
        path: &'a Path,
    ) -> impl Fn(object_store::Error) -> Error + 'a {
        move |error| Error::store(action, &self.shared.name, path, error)
    }
}

impl Shared {
    /// Makes an empty output ours, or checks that it is.
    async fn claim(&self) -> Result<(), Error> {
        let path = Path::from(layout::OUTPUT);
        if let Some((bytes, _)) = self.read(&path).await? {
            return self.check_mark(&bytes);
        }
        if let Err(foreign) = self.check_empty().await {
            // Another run may have begun between the two looks.
            return self.read(&path).await?.map_or(Err(foreign), |(bytes, _)| self.check_mark(&bytes));
        }
        let mark = OutputMark { schema_version: SCHEMA_VERSION, created: jiff::Timestamp::now().to_string() };
        let json = serde_json::to_vec_pretty(&mark).expect("a struct of a number and a string is valid JSON");
        let Err(error) = self.store.put_opts(&path, json.into(), PutMode::Create.into()).await else { return Ok(()) };
        // Another run began at the same moment: the mark is there, or its sweep has taken our half-written one away.
        match (self.read(&path).await?, error) {
            (Some((bytes, _)), _) => self.check_mark(&bytes),
            (None, object_store::Error::AlreadyExists { .. }) => Ok(()),
            (None, error) => Err(Error::store("write", &self.name, &path, error)),
        }
    }

    fn check_mark(&self, bytes: &[u8]) -> Result<(), Error> {
        let name = || format!("{}/{}", self.name, layout::OUTPUT);
        parse::<OutputMark>(bytes, "schema_version", SCHEMA_VERSION, name).map(drop)
    }

    /// Refuses a folder with anything in it but our own folder (another run is just beginning) and what a fresh disk has.
    async fn check_empty(&self) -> Result<(), Error> {
        const SHOWN: usize = 5;
        let root = Path::default();
        let list = self.store.list_with_delimiter(None).await;
        let list = list.map_err(|error| Error::store("list", &self.name, &root, error))?;
        let folders = list.common_prefixes.iter().map(|prefix| format!("{prefix}/"));
        let files = list.objects.iter().map(|object| object.location.to_string());
        let ours = [format!("{}/", layout::OWN), "lost+found/".to_owned()];
        let found: Vec<String> = folders.chain(files).filter(|name| !ours.contains(name)).collect();
        if found.is_empty() {
            return Ok(());
        }
        let more = if found.len() > SHOWN { format!(", and {} more", found.len() - SHOWN) } else { String::new() };
        let shown = found.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
        Err(Error::Foreign { output: self.name.clone(), found: shown + &more })
    }

    /// Reads an object, if it is there.
    async fn read(&self, path: &Path) -> Result<Option<(Bytes, UpdateVersion)>, Error> {
        let fail = |error| Error::store("read", &self.name, path, error);
        match self.store.get(path).await {
            Ok(found) => {
                let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
                Ok(Some((found.bytes().await.map_err(fail)?, version)))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(fail(error)),
        }
    }
}

/// Parses a marker.
pub(crate) fn parse_commit(bytes: &[u8], name: impl Fn() -> String) -> Result<Commit, Error> {
    parse(bytes, "version", COMMIT_VERSION, name)
}

/// Parses one of our own JSON files, looking at its version before anything else.
fn parse<T: for<'a> Deserialize<'a>>(
    bytes: &[u8],
    version_key: &str,
    known: u32,
    name: impl Fn() -> String,
) -> Result<T, Error> {
    let damaged = |source| Error::Damaged { path: name(), source };
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(damaged)?;
    match value.get(version_key).and_then(serde_json::Value::as_u64) {
        Some(found) if found > u64::from(known) => Err(Error::Newer { path: name(), found, known }),
        _ => serde_json::from_value(value).map_err(damaged),
    }
}

/// Makes a folder that outlives a power cut: each new folder's entry is flushed with its parent.
fn create_durably(folder: &std::path::Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_durably(parent)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !folder.is_dir() => return Err(error),
        _ => {}
    }
    if cfg!(unix) { File::open(parent.unwrap_or(std::path::Path::new(".")))?.sync_all() } else { Ok(()) }
}
