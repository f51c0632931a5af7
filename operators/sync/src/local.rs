//! The mirror as it is on disk.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pubtag_schemas::md5_in;

use crate::error::SyncError;
use crate::name::Role;
use crate::{Folder, PubmedFile};

/// The files that a mirror holds. A file that has its name was verified before it got it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Local {
    pub(crate) baseline: BTreeMap<PubmedFile, LocalFile>,
    pub(crate) updates: BTreeMap<PubmedFile, LocalFile>,
}

/// A file of the mirror.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LocalFile {
    /// Its length.
    pub(crate) bytes: u64,
    /// The MD5 that its checksum file records.
    pub(crate) md5: Option<String>,
    /// Whether its statistics are there.
    pub(crate) stats: bool,
}

impl Local {
    /// Looks at a mirror; one that does not exist yet is empty.
    pub(crate) fn scan(root: &Path) -> Result<Self, SyncError> {
        let folder = |folder: Folder| scan_folder(&root.join(folder.name()));
        Ok(Self { baseline: folder(Folder::Baseline)?, updates: folder(Folder::Updates)? })
    }

    /// The mirror with more baseline files.
    pub(crate) fn with_baseline(mut self, files: impl Iterator<Item = PubmedFile>) -> Self {
        for file in files {
            self.baseline.entry(file).or_default();
        }
        self
    }

    pub(crate) fn of(&self, folder: Folder) -> &BTreeMap<PubmedFile, LocalFile> {
        match folder {
            Folder::Baseline => &self.baseline,
            Folder::Updates => &self.updates,
        }
    }
}

fn scan_folder(folder: &Path) -> Result<BTreeMap<PubmedFile, LocalFile>, SyncError> {
    let mut files = BTreeMap::<PubmedFile, LocalFile>::new();
    let mut stats = Vec::new();
    for (name, path) in entries(folder)? {
        match PubmedFile::and_role(&name) {
            Some((file, Role::Data)) => {
                let metadata = fs::metadata(&path).map_err(|e| SyncError::disk("read", &path, e))?;
                if !metadata.is_file() {
                    return Err(SyncError::NotAFile { path });
                }
                let md5 = recorded_md5(&folder.join(file.checksum_name()), &name)?;
                files.insert(file, LocalFile { bytes: metadata.len(), md5, stats: false });
            }
            Some((file, Role::Stats)) => stats.push(file),
            _ => {}
        }
    }
    for file in stats {
        files.entry(file).and_modify(|local| local.stats = true);
    }
    Ok(files)
}

fn recorded_md5(path: &Path, name: &str) -> Result<Option<String>, SyncError> {
    match fs::read(path) {
        Ok(content) => Ok(md5_in(&String::from_utf8_lossy(&content), name)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(SyncError::disk("read", path, error)),
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
