//! Files that appear under their names only when complete.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file that is written under a temporary name beside its own and renamed by [`finish`](Self::finish): readers never see
/// a partial file, and a failure leaves the old file untouched. Dropping it unfinished leaves nothing behind.
#[derive(Debug)]
pub struct WholeFile {
    path: PathBuf,
    replaces: bool,
    draft: NamedTempFile,
}

impl WholeFile {
    /// Begins a new file.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if the path exists; any other error of writing to the directory.
    pub fn new(path: &Path) -> io::Result<Self> {
        match fs::symlink_metadata(path) {
            Ok(_) => Err(ErrorKind::AlreadyExists.into()),
            Err(_) => Self::begin(path, false),
        }
    }

    /// Begins a file that replaces an existing regular file, if there is one.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the path is a directory, a device or a symbolic link, which is neither replaced nor
    /// followed; any other error of writing to the directory.
    pub fn replacing(path: &Path) -> io::Result<Self> {
        match fs::symlink_metadata(path) {
            Ok(found) if !found.is_file() => Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file")),
            _ => Self::begin(path, true),
        }
    }

    fn begin(path: &Path, replaces: bool) -> io::Result<Self> {
        let mut prefix = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_owned();
        prefix.push(".");
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // As for any new file; temporary files would be readable by their owner only.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(Self { path: path.to_owned(), replaces, draft: builder.tempfile_in(directory)? })
    }

    /// Renames the file to its final name.
    ///
    /// # Errors
    /// If it cannot be renamed, for example because the path exists by now. The temporary file is removed.
    pub fn finish(self) -> io::Result<()> {
        let named =
            if self.replaces { self.draft.persist(&self.path) } else { self.draft.persist_noclobber(&self.path) };
        named.map(drop).map_err(|error| error.error)
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.draft.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.draft.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(file: io::Result<WholeFile>, text: &str) -> io::Result<()> {
        let mut file = file?;
        file.write_all(text.as_bytes())?;
        file.finish()
    }

    fn count(directory: &Path) -> usize {
        fs::read_dir(directory).unwrap().count()
    }

    #[test]
    fn a_file_is_replaced_only_on_request_and_no_temporary_file_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("corpus.jsonl");
        write(WholeFile::new(&path), "first, and longer").unwrap();
        assert_eq!(write(WholeFile::new(&path), "second").unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "first, and longer");
        write(WholeFile::replacing(&path), "second").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "second");
        assert_eq!(count(directory.path()), 1);
    }

    #[test]
    fn a_file_created_in_the_meantime_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("corpus.jsonl");
        let mut file = WholeFile::new(&path).unwrap();
        file.write_all(b"ours").unwrap();
        fs::write(&path, "theirs").unwrap();
        assert_eq!(file.finish().unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
        assert_eq!(count(directory.path()), 1);
    }

    #[test]
    fn an_unfinished_file_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        drop(WholeFile::new(&directory.path().join("corpus.jsonl")).unwrap());
        assert_eq!(count(directory.path()), 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_or_a_directory_is_neither_replaced_nor_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (link, diary) = (directory.path().join("link"), directory.path().join("diary"));
        fs::write(&diary, "dear diary").unwrap();
        std::os::unix::fs::symlink(&diary, &link).unwrap();
        for path in [&link, &directory.path().to_owned()] {
            assert_eq!(write(WholeFile::replacing(path), "x").unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(write(WholeFile::new(path), "x").unwrap_err().kind(), ErrorKind::AlreadyExists);
        }
        assert_eq!(fs::read_to_string(&link).unwrap(), "dear diary");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_has_the_permissions_of_any_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let (whole, plain) = (directory.path().join("whole"), directory.path().join("plain"));
        write(WholeFile::new(&whole), "").unwrap();
        fs::write(&plain, "").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&whole), mode(&plain));
    }
}
