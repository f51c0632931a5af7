//! The checksum files that NLM puts beside its files.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use pubtag_schemas::md5_in;

/// Checksum files are shorter than this; the rest is not read.
const MOST_BYTES: u64 = 1 << 20;

/// The `.md5` file beside an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sidecar {
    /// There is no such file.
    None,
    /// The expected MD5 in lower-case hex.
    Md5(String),
    /// The file cannot be used, with the reason.
    Unreadable(String),
}

/// Reads `NAME.md5` beside an input.
pub(crate) fn sidecar(input: &Path) -> Sidecar {
    let path = sidecar_path(input);
    if !path.is_file() {
        return Sidecar::None;
    }
    let mut content = Vec::new();
    if let Err(error) = File::open(&path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut content)) {
        return Sidecar::Unreadable(format!("cannot read its .md5 file ({error})"));
    }
    let name = input.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Sidecar::of(&content, &name)
}

impl Sidecar {
    /// What the content of a checksum file says about a file.
    pub(crate) fn of(content: &[u8], name: &str) -> Self {
        let found = md5_in(&String::from_utf8_lossy(content), name);
        found.map_or_else(|| Self::Unreadable("no MD5 in its .md5 file".to_owned()), Self::Md5)
    }
}

fn sidecar_path(input: &Path) -> PathBuf {
    let mut path = input.as_os_str().to_owned();
    path.push(".md5");
    path.into()
}
