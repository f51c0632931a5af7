//! The content of files.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use md5::{Digest, Md5};
use pubtag_schemas::hex;

/// Bytes that do not compress, the same for the same seed.
pub fn noise(seed: &str, bytes: usize) -> Vec<u8> {
    let mut state =
        seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).take(bytes.div_ceil(8)).flatten().take(bytes).collect()
}

/// Gzip of some bytes.
///
/// # Panics
/// Never: memory takes all that is written to it.
pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).and_then(|()| encoder.finish()).expect("memory takes all that is written to it")
}

/// MD5, in lower-case hex.
pub fn md5_hex(content: &[u8]) -> String {
    hex(Md5::digest(content))
}
