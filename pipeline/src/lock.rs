//! One process at a time in a directory.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use crate::exit::{Exit, Failure};

/// Keeps other processes away from a directory until it is dropped, or the process dies. The file stays: it locks nothing
/// by itself.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Locks a file in a directory, which is created if necessary. `what` says what another holder is.
    ///
    /// # Errors
    /// Another process holds the lock (exit code 75), or the file cannot be locked.
    pub(crate) fn hold(directory: &Path, name: &str, what: &str) -> Result<Self, Failure> {
        fs::create_dir_all(directory).map_err(|error| Failure::write(directory, error))?;
        let path = directory.join(name);
        let open = File::options().create(true).truncate(false).write(true).open(&path);
        let file = open.map_err(|error| Failure::write(&path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Failure::message(
                Exit::Transient,
                format!("{}: another {what} is in progress; run again when it has ended", directory.display()),
            )),
            Err(TryLockError::Error(error)) => Err(Failure::write(&path, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_has_to_come_back_later() {
        let directory = tempfile::tempdir().unwrap();
        let hold = || DirectoryLock::hold(directory.path(), ".lock", "night");
        let first = hold().unwrap();
        assert_eq!(hold().unwrap_err().exit, Exit::Transient);
        drop(first);
        hold().unwrap();
    }
}
