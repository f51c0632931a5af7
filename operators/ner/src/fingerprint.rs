//! What tells one model from another.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::NerError;

/// SHA-256, in lower-case hex, over the names, lengths and contents of those of the files that exist.
///
/// # Errors
/// If a file exists and cannot be read.
pub(crate) fn fingerprint(directory: &Path, files: &[&str]) -> Result<String, NerError> {
    let mut hash = Sha256::new();
    for file in files {
        let path = directory.join(file);
        if path.is_file() {
            // Name and length in front keep contents from running into each other.
            hash.update(file.as_bytes());
            hash.update([0]);
            hash_file(&path, &mut hash).map_err(|source| NerError::Read { path, source })?;
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn hash_file(path: &Path, hash: &mut Sha256) -> io::Result<()> {
    let mut file = File::open(path)?;
    hash.update(file.metadata()?.len().to_le_bytes());
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            read => hash.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_file_counts_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let print = || fingerprint(folder.path(), &["a", "b"]).unwrap();
        write("a", "one");
        let first = print();
        assert_eq!(first.len(), 64);
        write("c", "unlisted");
        assert_eq!(print(), first);
        write("b", "");
        let second = print();
        assert_ne!(second, first);
        write("a", "on");
        write("b", "e");
        assert_ne!(print(), second);
    }
}
