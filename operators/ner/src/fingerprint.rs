//! The fingerprint of a model.

use pubtag_schemas::hex;
use sha2::{Digest, Sha256};

/// SHA-256, in lower-case hex, over the names, lengths and contents of files.
pub(crate) fn fingerprint<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut hash = Sha256::new();
    for (name, contents) in files {
        // Name and length come first, so that contents cannot run into each other.
        hash.update(name.as_bytes());
        hash.update([0]);
        hash.update((contents.len() as u64).to_le_bytes());
        hash.update(contents);
    }
    hex(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_contents_count_and_do_not_run_into_each_other() {
        let print = |a: &str, b: &str| fingerprint([("a", a.as_bytes()), ("b", b.as_bytes())]);
        assert_eq!(print("one", "").len(), 64);
        assert_eq!(print("one", ""), print("one", ""));
        assert_ne!(print("one", ""), print("on", "e"));
        assert_ne!(print("one", ""), fingerprint([("a", b"one".as_slice())]));
        assert_ne!(print("one", ""), fingerprint([("a", b"one".as_slice()), ("c", b"")]));
    }
}
