//! `report.json` and `report.html` in the output directory.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use pubtag_corpus::WholeFile;
use pubtag_parquet::Tables;

use super::Report;
use crate::exit::Failure;

impl Report {
    /// Writes the report to an output directory, replacing any other; does nothing if it is not an output.
    ///
    /// # Errors
    /// The report cannot be written. The previous report is removed anyway, since it describes another run.
    pub(crate) fn leave(&self, output: &Path) -> Result<(), Failure> {
        if !Tables::exist_in(output) {
            return Ok(());
        }
        let json = serde_json::to_string_pretty(self)?;
        // The page first: whoever sees the JSON of a run also finds its page.
        let files = [("report.html", self.html()), ("report.json", json)];
        // Each is written even if the other fails.
        files.map(|(name, text)| replace(&output.join(name), &text)).into_iter().collect()
    }
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
