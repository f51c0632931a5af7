//! Helpers of the tests on real corpora.

use std::path::{Path, PathBuf};

use pubtag_corpus::{Diagnostic, Documents, Format, Item, TagOptions, open};
use pubtag_schemas::AnnotatedDocument;

/// The directory of real corpora; if it is missing, `None` with a message.
pub(crate) fn shared_data() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = std::env::var_os("PUBTAG_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    let data = shared.join("data");
    if data.is_dir() {
        return Some(data);
    }
    eprintln!("SKIPPED: no corpora under {}; set PUBTAG_SHARED", data.display());
    None
}

/// All items of a reader.
pub(crate) fn drain(documents: Documents<'_>) -> (Vec<AnnotatedDocument>, Vec<Diagnostic>) {
    let (mut all, mut diagnostics) = (Vec::new(), Vec::new());
    for item in documents {
        match item.unwrap() {
            Item::Document(_, document) => {
                assert!(document.is_sound(), "{document:?}");
                all.push(*document);
            }
            Item::Diagnostic(diagnostic) => diagnostics.push(diagnostic),
        }
    }
    (all, diagnostics)
}

/// Reads a corpus by its path.
pub(crate) fn read(path: &Path, format: Option<Format>) -> (Vec<AnnotatedDocument>, Vec<Diagnostic>) {
    drain(open(path, format, &TagOptions::default()).unwrap().documents)
}
