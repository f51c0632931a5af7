//! `report.json` and `report.html` in the output.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use object_store::ObjectStoreExt;
use object_store::path::Path as Key;
use pubtag_corpus::WholeFile;
use pubtag_parquet::Tables;
use pubtag_store::Store;

use super::Report;
use crate::exit::Failure;

impl Report {
    /// Writes the report to an output, replacing any other; does nothing if it is not an output.
    ///
    /// # Errors
    /// The report cannot be written. On disk, the previous report is removed anyway, since it describes another run.
    pub(crate) async fn leave(&self, output: &Store) -> Result<(), Failure> {
        if !Tables::exist_at(output).await? {
            return Ok(());
        }
        let json = serde_json::to_string_pretty(self)?;
        // The page first: whoever sees the JSON of a run also finds its page.
        let mut left = Ok(());
        for (name, text) in [("report.html", self.html()), ("report.json", json)] {
            // Each is written even if the other fails.
            left = left.and(write(output, name, text).await);
        }
        left
    }
}

/// Writes a text to an output, replacing any former one.
///
/// # Errors
/// It cannot be written. On disk, the former one is removed anyway.
pub(crate) async fn write(output: &Store, name: &str, text: String) -> Result<(), Failure> {
    match output.folder() {
        Some(folder) => replace(&folder.join(name), &text),
        None => put(output, name, text).await,
    }
}

async fn put(output: &Store, name: &str, text: String) -> Result<(), Failure> {
    let path = Key::from(name);
    let put = output.objects().put(&path, text.into()).await;
    put.map(drop).map_err(|error| Failure::store("write", &output.full_name(&path), error))
}

fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let write = || -> io::Result<()> {
        let mut file = WholeFile::replacing(path)?;
        file.write_all(text.as_bytes())?;
        file.finish()
    };
    if fs::symlink_metadata(path).is_ok_and(|former| former.is_symlink()) {
        let _ = fs::remove_file(path);
    }
    write().map_err(|error| {
        let _ = fs::remove_file(path);
        Failure::write(path, error)
    })
}
