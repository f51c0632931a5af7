//! Durable files: written under a hidden name, flushed to disk, then renamed.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use md5::{Digest, Md5};
use pubtag_schemas::hex;

use crate::error::SyncError;

/// What the name of an unfinished file ends with; it begins with a dot.
const PARTIAL: &str = ".partial";

/// What the name of an unfinished file's validator ends with.
const VALIDATOR: &str = ".partial.etag";

/// Bytes that are read from disk at once.
const BLOCK: usize = 256 * 1024;

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

/// MD5 of a file, in lower-case hex.
pub(crate) fn md5_of(path: &Path) -> Result<String, SyncError> {
    let hash = || -> io::Result<String> {
        let (mut file, mut md5, mut block) = (File::open(path)?, Md5::new(), vec![0; BLOCK]);
        loop {
            match file.read(&mut block)? {
                0 => return Ok(hex(md5.finalize())),
                read => md5.update(&block[..read]),
            }
        }
    };
    hash().map_err(|source| SyncError::disk("read", path, source))
}

/// Reads a gzip file to its end; an error of the inner result if it is damaged.
pub(crate) fn check_gzip(path: &Path) -> Result<io::Result<()>, SyncError> {
    let file = File::open(path).map_err(|source| SyncError::disk("read", path, source))?;
    Ok(io::copy(&mut MultiGzDecoder::new(io::BufReader::with_capacity(BLOCK, file)), &mut io::sink()).map(drop))
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
