//! One sync at a time in a directory: whoever holds the lock file.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use same_file::Handle;

use crate::error::SyncError;

/// The lock file, in the mirror. It is hidden, so readers of the mirror skip it.
pub(crate) const LOCK: &str = ".pubtag-sync.lock";

/// A held lock. Dropping it frees the mirror, as the death of the process does.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Locks a mirror, or fails at once if another process has.
    pub(crate) fn hold(root: &Path) -> Result<Self, SyncError> {
        let path = root.join(LOCK);
        loop {
            let file = File::options().create(true).truncate(false).write(true).open(&path);
            let file = file.map_err(|source| SyncError::disk("create", &path, source))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(SyncError::Busy { path: root.to_owned() }),
                Err(TryLockError::Error(source)) => return Err(SyncError::Lock { path, source }),
            }
            // The last holder may have removed the file between our opening and locking it: then it locks nothing.
            if is_named(&file, &path).map_err(|source| SyncError::disk("read", &path, source))? {
                return Ok(Self { path, _file: file });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while it is held: nobody can take a lock that is about to go. If it stays, it locks nothing.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether a path still names an open file.
fn is_named(file: &File, path: &Path) -> io::Result<bool> {
    match Handle::from_path(path) {
        Ok(found) => Ok(found == Handle::from_file(file.try_clone()?)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_locked_by_one_at_a_time_and_left_without_a_trace() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::hold(folder.path()).unwrap();
        assert!(matches!(Lock::hold(folder.path()), Err(SyncError::Busy { .. })));
        drop(lock);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        Lock::hold(folder.path()).unwrap();
    }

    #[test]
    fn a_lock_file_that_a_killed_process_left_locks_nothing() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(LOCK), "").unwrap();
        Lock::hold(folder.path()).unwrap();
    }
}
