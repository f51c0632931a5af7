//! A mirror in a local directory: a download becomes the file by getting its name.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::disk;
use crate::error::SyncError;
use crate::lock::Lock;
use crate::name::Role;
use crate::place::{Entry, HeldFile, Place, files_among};
use crate::{Folder, PubmedFile};

/// A mirror in a local directory.
#[derive(Debug)]
pub(crate) struct Directory {
    root: PathBuf,
}

impl Directory {
    /// A directory, which may not exist yet.
    pub(crate) fn open(root: &Path) -> Result<Self, SyncError> {
        match root.exists() && !root.is_dir() {
            true => Err(SyncError::NotADirectory { path: root.to_owned() }),
            false => Ok(Self { root: root.to_owned() }),
        }
    }
}

impl Place for Directory {
    fn full_name(&self, path: &str) -> String {
        self.root.join(path).display().to_string()
    }

    fn hold(&self) -> Result<Lock, SyncError> {
        disk::make_folder(&self.root)?;
        disk::hold(&self.root)
    }

    fn list(&self, folder: Folder) -> Result<BTreeMap<PubmedFile, HeldFile>, SyncError> {
        let mut found = Vec::new();
        for (name, path) in disk::entries(&self.root.join(folder.name()))? {
            let is_data = matches!(PubmedFile::and_role(&name), Some((_, Role::Data)));
            let bytes = if is_data { length(&path)? } else { 0 };
            found.push(Entry { name, bytes, written: None });
        }
        Ok(files_among(found))
    }

    fn open(&self, path: &str) -> Result<Option<Box<dyn Read + '_>>, SyncError> {
        let path = self.root.join(path);
        match File::open(&path) {
            Ok(file) => Ok(Some(Box::new(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(SyncError::disk("read", &path, error)),
        }
    }

    fn write(&self, path: &str, content: &[u8]) -> Result<(), SyncError> {
        let (folder, name) = disk::split(&self.root, path);
        disk::write_whole(&folder, name, content)
    }

    fn take(&self, download: &Path, path: &str, _: &str) -> Result<(), SyncError> {
        let (folder, name) = disk::split(&self.root, path);
        disk::rename(download, &folder, name)
    }

    fn remove(&self, path: &str) -> Result<(), SyncError> {
        disk::remove(&self.root.join(path))
    }

    fn downloads(&self) -> &Path {
        &self.root
    }

    fn keeps_downloads(&self) -> bool {
        true
    }
}

fn length(path: &Path) -> Result<u64, SyncError> {
    let metadata = fs::metadata(path).map_err(|error| SyncError::disk("read", path, error))?;
    match metadata.is_file() {
        true => Ok(metadata.len()),
        false => Err(SyncError::NotAFile { path: path.to_owned() }),
    }
}
