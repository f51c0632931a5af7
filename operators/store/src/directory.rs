//! Directories on a local disk: they survive a power cut, and half-written files in them are recognised.

use std::fs::{self, File};
use std::io;
use std::path::Path;

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

/// The final name of a file that `LocalFileSystem` has begun to write: until it is whole, it is called `NAME#1`.
pub fn staged_name(path: &Path) -> Option<&str> {
    let (name, number) = path.file_name()?.to_str()?.rsplit_once('#')?;
    (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then_some(name)
}
