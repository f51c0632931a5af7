//! SHA-256 of files that a run depends on.

use sha2::{Digest, Sha256};

/// SHA-256 of some bytes, in lower-case hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    pubtag_schemas::hex(Sha256::digest(bytes))
}
