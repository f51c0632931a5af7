//! What tells one model from another.

use pubtag_schemas::{ModelFiles, hex};
use sha2::{Digest, Sha256};

use crate::NerError;

/// SHA-256, in lower-case hex, over the names, lengths and contents of those of the files that exist.
///
/// # Errors
/// If a file exists and cannot be read.
pub(crate) fn fingerprint(model: &ModelFiles, files: &[&str]) -> Result<String, NerError> {
    let mut hash = Sha256::new();
    for file in files.iter().filter(|file| model.has(file)) {
        let contents = model.read(file).map_err(|source| NerError::Read { path: model.path(file), source })?;
        // Name and length in front keep contents from running into each other.
        hash.update(file.as_bytes());
        hash.update([0]);
        hash.update((contents.len() as u64).to_le_bytes());
        hash.update(&contents);
    }
    Ok(hex(hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_file_counts_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let print = || fingerprint(&folder.path().into(), &["a", "b"]).unwrap();
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
