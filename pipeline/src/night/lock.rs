//! One night at a time.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use crate::exit::{Exit, Failure};

/// The lock file, in the mirror. It is hidden, so readers of the mirror skip it.
const LOCK: &str = ".pubtag-nightly.lock";

/// Keeps other nights away until it is dropped, or the process dies. The file stays: it locks nothing by itself.
#[derive(Debug)]
pub(crate) struct NightLock {
    _file: File,
}

impl NightLock {
    /// Locks a mirror, which is created if necessary.
    ///
    /// # Errors
    /// Another night is in progress, or the file cannot be locked.
    pub(crate) fn hold(mirror: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(mirror).map_err(|error| Failure::write(mirror, error))?;
        let path = mirror.join(LOCK);
        let open = File::options().create(true).truncate(false).write(true).open(&path);
        let file = open.map_err(|error| Failure::write(&path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Failure::message(
                Exit::Transient,
                format!("{}: another `pubtag nightly` is in progress; run again when it has ended", mirror.display()),
            )),
            Err(TryLockError::Error(error)) => Err(Failure::write(&path, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_night_is_told_to_come_back_later() {
        let mirror = tempfile::tempdir().unwrap();
        let first = NightLock::hold(mirror.path()).unwrap();
        assert_eq!(NightLock::hold(mirror.path()).unwrap_err().exit, Exit::Transient);
        drop(first);
        NightLock::hold(mirror.path()).unwrap();
    }
}
