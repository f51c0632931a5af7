//! Directories on a local disk: they survive a power cut, and half-written files in them are recognised.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Creates a directory; the entry of each new directory is flushed with its parent.
pub(crate) fn create_durably(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_durably(parent)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Err(_) if !folder.is_dir() => return Err(io::ErrorKind::NotADirectory.into()),
        _ => {}
    }
    if cfg!(unix) { File::open(parent.unwrap_or(Path::new(".")))?.sync_all() } else { Ok(()) }
}

/// Removes the half-written files of a directory that nobody has written to for some time; returns their number. Only
/// those whose final name is `ours` are removed. A directory that does not exist has none.
///
/// # Errors
/// The directory cannot be read, or a file cannot be removed.
pub fn remove_staged(folder: &Path, unchanged_for: Duration, ours: impl Fn(&str) -> bool) -> io::Result<usize> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let before = SystemTime::now().checked_sub(unchanged_for);
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        if !staged_name(&entry.path()).is_some_and(&ours) {
            continue;
        }
        // It may have got its name, or have been removed by another process, meanwhile.
        let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        let changed = match entry.metadata().and_then(|found| found.modified()) {
            Err(error) if gone(&error) => continue,
            changed => changed?,
        };
        if before.is_some_and(|before| changed <= before) {
            match fs::remove_file(entry.path()) {
                Err(error) if !gone(&error) => return Err(error),
                done => removed += usize::from(done.is_ok()),
            }
        }
    }
    Ok(removed)
}

/// The final name of a file that `LocalFileSystem` has begun to write: until it is whole, it is called `NAME#1`.
pub fn staged_name(path: &Path) -> Option<&str> {
    let (name, number) = path.file_name()?.to_str()?.rsplit_once('#')?;
    (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_half_written_files_that_nobody_writes_to_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["whole.parquet", "old.parquet#1", "new.parquet#12", "not#staged", "song#1"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let long_ago = SystemTime::now() - Duration::from_hours(30);
        for name in ["whole.parquet", "old.parquet#1", "not#staged", "song#1"] {
            File::options().write(true).open(folder.path().join(name)).unwrap().set_modified(long_ago).unwrap();
        }
        let left = || {
            let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
            let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
            names.sort();
            names
        };
        let remove = |folder: &Path, age| remove_staged(folder, age, |name| name.ends_with(".parquet")).unwrap();
        assert_eq!(remove(folder.path(), Duration::from_hours(24)), 1);
        assert_eq!(left(), ["new.parquet#12", "not#staged", "song#1", "whole.parquet"]);
        assert_eq!(remove(folder.path(), Duration::ZERO), 1);
        assert_eq!(left(), ["not#staged", "song#1", "whole.parquet"]);
        assert_eq!(remove(&folder.path().join("none"), Duration::ZERO), 0);
    }
}
