//! Which runs on an output are alive: on local disk, those that hold their lock file.

use std::fmt::Debug;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use pubtag_store::staged_name;
use same_file::Handle;
use uuid::Uuid;

use crate::{Error, layout};

/// Tells live runs from dead ones.
///
/// Implementations guarantee that a run is alive from the return of [`hold`](Self::hold) until its hold is dropped or its
/// process dies, and that a live run is never reported dead.
pub trait Liveness: Debug + Send + Sync {
    /// Marks a run as alive until the hold is released or dropped.
    ///
    /// # Errors
    /// If the run cannot be marked.
    fn hold(&self, run_id: Uuid) -> BoxFuture<'_, Result<Box<dyn Hold>, Error>>;

    /// Whether a run is alive; an unknown run is not.
    ///
    /// # Errors
    /// If it cannot be determined.
    fn is_alive(&self, run_id: Uuid) -> BoxFuture<'_, Result<bool, Error>>;

    /// Prevents all other runs from replacing commits until the hold is released or dropped. Waits for its turn.
    ///
    /// # Errors
    /// If the wait times out or the lock cannot be created.
    fn exclusive(&self) -> BoxFuture<'_, Result<Box<dyn Hold>, Error>>;

    /// Removes what dead runs left and the store does not list: lock files and half-written files. Called by a run that
    /// holds its own lock.
    ///
    /// # Errors
    /// If something cannot be removed.
    fn tidy(&self) -> BoxFuture<'_, Result<(), Error>>;
}

/// Keeps a run alive. Dropping it ends that, as the death of the process does.
pub trait Hold: Debug + Send + Sync {
    /// Ends it and removes its lock file.
    ///
    /// # Errors
    /// If the lock file cannot be removed; the run counts as dead all the same.
    fn release(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>>;
}

/// Lock files below an output directory on local disk (or on a network file system that supports locks).
#[derive(Clone, Debug)]
pub struct FileLocks {
    folder: PathBuf,
}

impl FileLocks {
    /// Lock files for the runs on an output directory.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn lock_path(&self, run_id: Uuid) -> PathBuf {
        self.folder.join(layout::ATTEMPTS).join(format!("{run_id}.lock"))
    }
}

impl Liveness for FileLocks {
    fn hold(&self, run_id: Uuid) -> BoxFuture<'_, Result<Box<dyn Hold>, Error>> {
        let path = self.lock_path(run_id);
        async move {
            let held = blocking(move || hold(&path, LOOKING).map_err(|source| lock_error(&path, source))).await?;
            Ok(Box::new(held) as Box<dyn Hold>)
        }
        .boxed()
    }

    fn exclusive(&self) -> BoxFuture<'_, Result<Box<dyn Hold>, Error>> {
        let path = self.folder.join(layout::REPLACING);
        async move {
            let held = blocking(move || {
                hold(&path, REPLACING).map_err(|source| match source.kind() {
                    io::ErrorKind::WouldBlock => Error::Busy { path: path.display().to_string() },
                    _ => lock_error(&path, source),
                })
            });
            Ok(Box::new(held.await?) as Box<dyn Hold>)
        }
        .boxed()
    }

    fn is_alive(&self, run_id: Uuid) -> BoxFuture<'_, Result<bool, Error>> {
        let path = self.lock_path(run_id);
        blocking(move || is_locked(&path).map_err(|source| lock_error(&path, source))).boxed()
    }

    fn tidy(&self) -> BoxFuture<'_, Result<(), Error>> {
        let locks = self.clone();
        blocking(move || tidy(&locks)).boxed()
    }
}

#[derive(Debug)]
struct HeldFile {
    file: File,
    path: PathBuf,
}

impl Hold for HeldFile {
    fn release(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        blocking(move || {
            let Self { file, path } = *self;
            // Removed while locked, so that nobody can take a lock that is about to disappear.
            let removed = remove(&path).map_err(|source| lock_error(&path, source));
            drop(file);
            removed
        })
        .boxed()
    }
}

/// How long other runs may lock a file just to test it.
const LOOKING: Duration = Duration::from_secs(5);

/// How long to wait for other runs that replace commits: each writes one small file and removes some.
const REPLACING: Duration = Duration::from_mins(2);

/// Creates a lock file and locks it, waiting while others hold it.
fn hold(path: &Path, patience: Duration) -> io::Result<HeldFile> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    loop {
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        lock_within(&file, patience)?;
        // Another run may have removed the file between open and lock: then the lock is worthless.
        if still_there(&file, path)? {
            return Ok(HeldFile { file, path: path.to_owned() });
        }
    }
}

fn lock_within(file: &File, patience: Duration) -> io::Result<()> {
    const PAUSE: Duration = Duration::from_millis(10);
    let started = Instant::now();
    while started.elapsed() < patience {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::WouldBlock, "another process uses the same run id"))
}

/// Tests a lock without blocking others that test it.
fn is_locked(path: &Path) -> io::Result<bool> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
        Ok(file) => match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        },
    }
}

/// Whether a path still names an open file.
fn still_there(file: &File, path: &Path) -> io::Result<bool> {
    match Handle::from_path(path) {
        Ok(found) => Ok(found == Handle::from_file(file.try_clone()?)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes the lock files of dead runs and the files in which `LocalFileSystem` stages its writes (`name#1`).
///
/// Staged files are listed before any lock is tested, so that none belongs to a run that starts meanwhile.
fn tidy(locks: &FileLocks) -> Result<(), Error> {
    let staged = staged_files(&locks.folder)?;
    let live = remove_dead(&locks.folder.join(layout::ATTEMPTS))?;
    let replacing = locks.folder.join(layout::REPLACING);
    remove_unless_held(&replacing).map_err(|source| lock_error(&replacing, source))?;
    for path in staged {
        let dead = match staged_name(&path).and_then(layout::run_of_part) {
            Some(run_id) => {
                let lock = locks.lock_path(run_id);
                !is_locked(&lock).map_err(|source| lock_error(&lock, source))?
            }
            // A marker's name does not contain its run. The only live run is the one tidying up.
            None => live <= 1,
        };
        if dead {
            remove(&path).map_err(|source| folder_error(&path, source))?;
        }
    }
    Ok(())
}

/// Removes the lock files of dead runs and counts the live ones.
fn remove_dead(folder: &Path) -> Result<usize, Error> {
    let mut live = 0;
    for path in files(folder)? {
        live += usize::from(!remove_unless_held(&path).map_err(|source| lock_error(&path, source))?);
    }
    Ok(live)
}

/// Removes a lock file unless it is held; false if it is.
fn remove_unless_held(path: &Path) -> io::Result<bool> {
    // On network file systems, an exclusive lock requires a file opened for writing.
    let file = match File::options().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        opened => opened?,
    };
    match file.try_lock() {
        Ok(()) => remove(path).map(|()| true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn staged_files(output: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut staged = Vec::new();
    for folder in layout::TABLES.into_iter().chain([layout::OWN, layout::COMMITS, layout::CLAIMS]) {
        staged.extend(files(&output.join(folder))?.into_iter().filter(|path| staged_name(path).is_some()));
    }
    Ok(staged)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let list = || -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let paths = entries.map(|entry| entry.map(|e| e.path())).collect::<io::Result<Vec<_>>>()?;
        Ok(paths.into_iter().filter(|path| path.is_file()).collect())
    };
    list().map_err(|source| folder_error(folder, source))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Runs file operations off the async threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::Lock { path: layout::ATTEMPTS.to_owned(), source: error.into() }),
    }
}

fn lock_error(path: &Path, source: io::Error) -> Error {
    Error::Lock { path: path.display().to_string(), source }
}

fn folder_error(path: &Path, source: io::Error) -> Error {
    Error::Folder { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_run_is_alive_from_hold_to_drop() {
        let folder = tempfile::tempdir().unwrap();
        let locks = FileLocks::new(folder.path());
        let (run, other) = (Uuid::now_v7(), Uuid::now_v7());
        assert!(!locks.is_alive(run).await.unwrap());
        let hold = locks.hold(run).await.unwrap();
        assert!(locks.is_alive(run).await.unwrap());
        assert!(!locks.is_alive(other).await.unwrap());
        locks.tidy().await.unwrap();
        assert!(locks.lock_path(run).exists(), "a live run's lock must be kept");
        drop(hold);
        assert!(!locks.is_alive(run).await.unwrap());
        locks.tidy().await.unwrap();
        assert!(!locks.lock_path(run).exists(), "a dead run's lock must be removed");
    }

    #[tokio::test]
    async fn a_run_id_is_held_by_one_run_only() {
        let folder = tempfile::tempdir().unwrap();
        let locks = FileLocks::new(folder.path());
        let run = Uuid::now_v7();
        let _hold = locks.hold(run).await.unwrap();
        let error = locks.hold(run).await.unwrap_err();
        let Error::Lock { source, .. } = error else { panic!("{error:?}") };
        assert!(source.to_string().contains("same run id"), "{source}");
    }

    #[tokio::test]
    async fn a_released_hold_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let locks = FileLocks::new(folder.path());
        let run = Uuid::now_v7();
        locks.hold(run).await.unwrap().release().await.unwrap();
        assert!(!locks.lock_path(run).exists());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_run_that_starts_while_others_tidy_is_alive() {
        let folder = tempfile::tempdir().unwrap();
        let locks = FileLocks::new(folder.path());
        let tidier = locks.clone();
        let tidying = tokio::spawn(async move {
            for _ in 0..300 {
                tidier.tidy().await.unwrap();
            }
        });
        for _ in 0..300 {
            let run = Uuid::now_v7();
            let hold = locks.hold(run).await.unwrap();
            assert!(locks.is_alive(run).await.unwrap(), "a run holds a lock that others cannot see");
            drop(hold);
        }
        tidying.await.unwrap();
    }

    #[tokio::test]
    async fn half_written_files_are_removed_once_their_run_is_dead() {
        let folder = tempfile::tempdir().unwrap();
        let locks = FileLocks::new(folder.path());
        let (own, live, dead) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
        let _own = locks.hold(own).await.unwrap();
        let part = |run| folder.path().join(format!("annotations/x-{run}-00000-000.parquet#1"));
        let marker = folder.path().join("_pubtag/commits/ab.json#1");
        let hold = locks.hold(live).await.unwrap();
        for path in [&part(live), &part(dead), &marker] {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "half").unwrap();
        }
        locks.tidy().await.unwrap();
        assert!(part(live).exists() && !part(dead).exists() && marker.exists());
        drop(hold);
        locks.tidy().await.unwrap();
        assert!(!part(live).exists() && !marker.exists());
    }
}
