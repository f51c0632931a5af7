//! Where a model's files are.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

/// The files of a model in the Hugging Face layout: a directory, or bytes inside the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelFiles {
    /// A directory.
    Directory(PathBuf),
    /// Files that were built into the program.
    BuiltIn {
        /// What people call the model.
        name: &'static str,
        /// Names and contents.
        files: &'static [(&'static str, &'static [u8])],
    },
}

impl ModelFiles {
    /// Whether there is a file of this name.
    pub fn has(&self, file: &str) -> bool {
        match self {
            Self::Directory(directory) => directory.join(file).is_file(),
            Self::BuiltIn { files, .. } => files.iter().any(|(name, _)| *name == file),
        }
    }

    /// A file's contents.
    ///
    /// # Errors
    /// If it is not there or cannot be read.
    pub fn read(&self, file: &str) -> io::Result<Cow<'static, [u8]>> {
        match self {
            Self::Directory(directory) => std::fs::read(directory.join(file)).map(Cow::Owned),
            Self::BuiltIn { files, .. } => {
                let found = files.iter().find(|(name, _)| *name == file);
                found.map(|(_, bytes)| Cow::Borrowed(*bytes)).ok_or_else(|| io::ErrorKind::NotFound.into())
            }
        }
    }

    /// What a file is called in messages; a path that can be opened for a directory alone.
    pub fn path(&self, file: &str) -> PathBuf {
        self.place().join(file)
    }

    /// What the whole is called in messages.
    pub fn place(&self) -> PathBuf {
        match self {
            Self::Directory(directory) => directory.clone(),
            Self::BuiltIn { name, .. } => PathBuf::from(format!("(built in) {name}")),
        }
    }

    /// What people call the model: a directory's last component, links and dots resolved.
    pub fn name(&self) -> String {
        match self {
            Self::Directory(directory) => {
                let resolved = directory.canonicalize().unwrap_or_else(|_| directory.clone());
                resolved.file_name().unwrap_or(resolved.as_os_str()).to_string_lossy().into_owned()
            }
            Self::BuiltIn { name, .. } => (*name).to_owned(),
        }
    }
}

impl<P: AsRef<Path>> From<P> for ModelFiles {
    fn from(directory: P) -> Self {
        Self::Directory(directory.as_ref().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_files_are_found_by_name() {
        const FILES: &[(&str, &[u8])] = &[("config.json", b"{}")];
        let model = ModelFiles::BuiltIn { name: "small", files: FILES };
        assert!(model.has("config.json") && !model.has("vocab.txt"));
        assert_eq!(*model.read("config.json").unwrap(), *b"{}");
        assert_eq!(model.read("vocab.txt").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(model.name(), "small");
    }

    #[test]
    fn a_directory_is_called_by_its_last_component() {
        let model = ModelFiles::from(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/."));
        assert_eq!(model.name(), "src");
        assert!(model.has("lib.rs") && !model.has("nothing"));
    }
}
