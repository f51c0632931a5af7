//! A PubMed file as large as NLM's: all of the output is read back and compared with the file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use parquet::file::reader::{FileReader, SerializedFileReader};
use pubtag_tests::{Outcome, PubTag, python, report, write_pubmed_file};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::PROGRAM;

/// Records in one of NLM's files.
const RECORDS: u32 = 30_000;
/// Enough of them are broken for several row groups of rejects.
const BROKEN_EVERY: u32 = 50;

fn row_groups(output: &Path, table: &str) -> usize {
    let parts = std::fs::read_dir(output.join(table)).unwrap().map(|entry| entry.unwrap().path());
    let groups =
        |part: PathBuf| SerializedFileReader::new(File::open(part).unwrap()).unwrap().metadata().num_row_groups();
    parts.map(groups).sum()
}

#[test]
fn a_file_of_nlms_size_is_written_completely() {
    let dir = tempdir().unwrap();
    let (input, output) = (dir.path().join("pubmed26n0001.xml.gz"), dir.path().join("out"));
    let made = write_pubmed_file(&input, RECORDS, BROKEN_EVERY);
    assert!((180_000_000..260_000_000).contains(&made.xml_bytes), "{made:?}");
    PubTag::run(PROGRAM, &[&input], &output).arg("--max-rejects").arg(made.broken.to_string()).succeed();

    let reconciled = &report(&output)["reconciliation"];
    let (documents, rejects) = (made.citations + made.deletions, made.broken);
    for (key, expected) in [("document_rows", documents), ("reject_rows", rejects), ("citations", made.citations)] {
        assert_eq!(reconciled[key], expected, "{key}");
    }
    let groups = ["annotations", "documents", "rejects"].map(|table| row_groups(&output, table));
    assert!(groups.iter().all(|&groups| groups > 1), "{groups:?} row groups in annotations, documents and rejects");

    let verified = PubTag::new(PROGRAM, ["verify"]).arg(&output).succeed();
    assert_eq!(verified.stdout, "");

    let Some(python) = python("a_file_of_nlms_size_is_written_completely") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("readers/large.py");
    let read = Outcome::of(&Command::new(python).arg(script).arg(&output).arg(&input).output().unwrap());
    assert_eq!(read.code, Some(0), "{}", read.stderr);
    let read: Value = serde_json::from_str(&read.stdout).unwrap();
    assert_eq!((&read["rows"]["documents"], &read["rows"]["rejects"]), (&json!(documents), &json!(rejects)));
    assert_eq!(read["deletions"], json!(made.deletions));
}
