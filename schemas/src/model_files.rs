//! A model's files, wherever they are.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files of a model in the Hugging Face layout: in a directory, read from one, or built into the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelFiles {
    /// A directory.
    Directory(PathBuf),
    /// Some files of a directory, read once; all others are treated as absent.
    Held {
        /// The directory.
        directory: PathBuf,
        /// Names and contents.
        files: Arc<BTreeMap<String, Vec<u8>>>,
    },
    /// Files built into the program.
    BuiltIn {
        /// Name of the model.
        name: &'static str,
        /// Names and contents.
        files: &'static [(&'static str, &'static [u8])],
    },
}

impl ModelFiles {
    /// Whether a file of this name exists.
    pub fn has(&self, file: &str) -> bool {
        match self {
            Self::Directory(directory) => directory.join(file).is_file(),
            Self::Held { files, .. } => files.contains_key(file),
            Self::BuiltIn { files, .. } => files.iter().any(|(name, _)| *name == file),
        }
    }

    /// A file's contents.
    ///
    /// # Errors
    /// If it does not exist or cannot be read.
    pub fn read(&self, file: &str) -> io::Result<Cow<'static, [u8]>> {
        match self {
            Self::Directory(directory) => std::fs::read(directory.join(file)).map(Cow::Owned),
            Self::Held { files, .. } => {
                files.get(file).cloned().map(Cow::Owned).ok_or_else(|| io::ErrorKind::NotFound.into())
            }
            Self::BuiltIn { files, .. } => {
                let found = files.iter().find(|(name, _)| *name == file);
                found.map(|(_, bytes)| Cow::Borrowed(*bytes)).ok_or_else(|| io::ErrorKind::NotFound.into())
            }
        }
    }

    /// Reads those of these files that exist into memory, so that every later reader sees the same contents.
    ///
    /// # Errors
    /// The name of a file that cannot be read or is larger than `limit` bytes, and why.
    pub fn hold(&self, files: &[&str], limit: u64) -> Result<Self, (String, io::Error)> {
        let Self::Directory(directory) = self else { return Ok(self.clone()) };
        let mut held = BTreeMap::new();
        for file in files.iter().filter(|file| self.has(file)) {
            let contents = read_at_most(&directory.join(file), limit).map_err(|error| ((*file).to_owned(), error))?;
            held.insert((*file).to_owned(), contents);
        }
        Ok(Self::Held { directory: directory.clone(), files: Arc::new(held) })
    }

    /// The path of a file for messages; it can be opened only if the model is in a directory.
    pub fn path(&self, file: &str) -> PathBuf {
        self.place().join(file)
    }

    /// The location of the model for messages.
    pub fn place(&self) -> PathBuf {
        match self {
            Self::Directory(directory) | Self::Held { directory, .. } => directory.clone(),
            Self::BuiltIn { name, .. } => PathBuf::from(format!("(built in) {name}")),
        }
    }

    /// The model's name: a directory's last component, with links and dots resolved.
    pub fn name(&self) -> String {
        match self {
            Self::Directory(directory) | Self::Held { directory, .. } => {
                let resolved = directory.canonicalize().unwrap_or_else(|_| directory.clone());
                resolved.file_name().unwrap_or(resolved.as_os_str()).to_string_lossy().into_owned()
            }
            Self::BuiltIn { name, .. } => (*name).to_owned(),
        }
    }
}

fn read_at_most(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let (file, mut contents) = (File::open(path)?, Vec::new());
    let is_small = file.metadata()?.len() <= limit;
    if is_small {
        file.take(limit.saturating_add(1)).read_to_end(&mut contents)?;
    }
    // The file may grow while it is read.
    if !is_small || contents.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {limit} bytes")));
    }
    Ok(contents)
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
    fn held_files_keep_their_contents_and_hide_all_others() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let held = ModelFiles::from(folder).hold(&["Cargo.toml", "vocab.txt"], 1 << 20).unwrap();
        assert_eq!(held.read("Cargo.toml").unwrap(), std::fs::read(folder.join("Cargo.toml")).unwrap());
        assert!(
            !held.has("vocab.txt") && !held.has("src"),
            "files that did not exist or were not requested are absent"
        );
        assert_eq!(held.read("vocab.txt").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!((held.name(), held.place()), (ModelFiles::from(folder).name(), folder.to_owned()));
        let (file, error) = ModelFiles::from(folder).hold(&["Cargo.toml"], 10).unwrap_err();
        assert_eq!((file.as_str(), error.kind()), ("Cargo.toml", io::ErrorKind::FileTooLarge));
    }

    #[test]
    fn a_directory_is_named_by_its_last_component() {
        let model = ModelFiles::from(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/."));
        assert_eq!(model.name(), "src");
        assert!(model.has("lib.rs") && !model.has("nothing"));
    }
}
