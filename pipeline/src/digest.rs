//! SHA-256.

use sha2::{Digest, Sha256};

/// SHA-256 of bytes, in lower-case hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    pubtag_schemas::hex(Sha256::digest(bytes))
}
