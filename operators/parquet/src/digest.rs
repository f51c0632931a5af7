//! SHA-256 as lower-case hex.

use pubtag_schemas::hex;
use sha2::{Digest, Sha256};

/// Hashes fields, each preceded by its length, so that no two lists of fields collide.
pub(crate) fn of_fields<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = Sha256::new();
    for field in fields {
        hasher.update((field.len() as u64).to_le_bytes());
        hasher.update(field);
    }
    finish(hasher)
}

/// The SHA-256 of some bytes.
pub(crate) fn of(bytes: &[u8]) -> String {
    finish(Sha256::new_with_prefix(bytes))
}

/// Finishes a hash.
pub(crate) fn finish(hasher: Sha256) -> String {
    hex(hasher.finalize())
}
