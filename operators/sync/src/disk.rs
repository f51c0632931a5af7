//! Durable files: written under a hidden name, flushed to disk, then renamed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::Folder;
use crate::error::SyncError;
use crate::lock::Lock;

/// What the name of an unfinished file ends with; it begins with a dot.
const PARTIAL: &str = ".partial";

/// What the name of an unfinished file's validator ends with.
const VALIDATOR: &str = ".partial.etag";

/// Where a file is until it is whole and verified.
pub(crate) fn partial_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!(".{name}{PARTIAL}"))
}

/// Where the validator (ETag) of an unfinished file is: it says which version of the file its bytes belong to.
pub(crate) fn validator_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!(".{name}{VALIDATOR}"))
}

/// The file that a hidden name belongs to, if it is one of an unfinished file.
pub(crate) fn unfinished(name: &str) -> Option<&str> {
    let name = name.strip_prefix('.')?;
    name.strip_suffix(VALIDATOR).or_else(|| name.strip_suffix(PARTIAL))
}

/// Makes a folder and all above it.
pub(crate) fn make_folder(path: &Path) -> Result<(), SyncError> {
    let make = || {
        if path.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(path)?;
        sync_folder(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
    };
    make().map_err(|source| SyncError::disk("create", path, source))
}

/// Makes a folder that others can neither read nor write to, and all above it.
pub(crate) fn make_private_folder(path: &Path) -> Result<(), SyncError> {
    make_folder(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let closed = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
        closed.map_err(|source| SyncError::disk("protect", path, source))?;
    }
    Ok(())
}

/// Locks a directory and makes the folders of a mirror in it.
pub(crate) fn hold(root: &Path) -> Result<Lock, SyncError> {
    let lock = Lock::hold(root)?;
    for folder in [Folder::Baseline, Folder::Updates] {
        make_folder(&root.join(folder.name()))?;
    }
    Ok(lock)
}

/// The folder of a file in a mirror, and its name there.
pub(crate) fn split<'a>(root: &Path, path: &'a str) -> (PathBuf, &'a str) {
    match path.rsplit_once('/') {
        Some((folder, name)) => (root.join(folder), name),
        None => (root.to_owned(), path),
    }
}

/// The names and paths in a folder; none if it does not exist. Names that are not UTF-8 are not ours.
pub(crate) fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, SyncError> {
    let list = || -> io::Result<Vec<(String, PathBuf)>> {
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?.collect::<io::Result<Vec<_>>>()?,
        };
        let named = |entry: fs::DirEntry| Some((entry.file_name().into_string().ok()?, entry.path()));
        Ok(entries.into_iter().filter_map(named).collect())
    };
    list().map_err(|error| SyncError::disk("list", folder, error))
}

/// Writes a small file as a whole.
pub(crate) fn write_whole(folder: &Path, name: &str, content: &[u8]) -> Result<(), SyncError> {
    let partial = partial_path(folder, name);
    let write = || {
        let mut file = File::create(&partial)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().map_err(|source| SyncError::disk("write", &partial, source))?;
    rename(&partial, folder, name)
}

/// Gives a flushed file its name, durably.
pub(crate) fn rename(partial: &Path, folder: &Path, name: &str) -> Result<(), SyncError> {
    let target = folder.join(name);
    let renamed = fs::rename(partial, &target).and_then(|()| sync_folder(folder));
    renamed.map_err(|source| SyncError::disk("write", &target, source))
}

/// Removes a file if it exists.
pub(crate) fn remove(path: &Path) -> Result<(), SyncError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(SyncError::disk("remove", path, error)),
        _ => Ok(()),
    }
}

#[cfg(unix)]
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Folders cannot be flushed here.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Bytes that the file system of a folder has left for us, where it says.
#[cfg(unix)]
pub(crate) fn free_bytes(folder: &Path) -> Option<u64> {
    rustix::fs::statvfs(folder).ok().map(|fs| fs.f_bavail.saturating_mul(fs.f_frsize))
}

#[cfg(not(unix))]
pub(crate) fn free_bytes(_: &Path) -> Option<u64> {
    None
}
