//! Real files are read completely, and like an independent reader.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use pubtag_pubmed::{ReadOptions, discover};
use pubtag_schemas::{Citation, Outcome, Record, RejectReason, SectionKind, days_since_epoch};
use serde_json::{Value, json};

use crate::common::{Reading, read, read_all, shared};

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.extension().is_none_or(|extension| extension != "md") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn readings(files: &[PathBuf]) -> Vec<(String, Reading)> {
    let arguments: Vec<_> = files.iter().map(|file| file.to_str().unwrap().to_owned()).collect();
    let units = discover(&arguments, &ReadOptions::default()).unwrap().units;
    assert_eq!(units.len(), files.len());
    units.into_iter().map(|unit| (unit.uri().to_owned(), read_all(unit, ReadOptions::default()))).collect()
}

#[test]
fn every_real_file_is_read_to_its_end() {
    let Some(shared) = shared() else { return };
    let files = files_below(&shared.join("data/pubmed_xml"));
    let mut counts = BTreeMap::new();
    for (uri, reading) in readings(&files) {
        let name = uri.rsplit('/').next().unwrap().to_owned();
        if name == "no_pubmedarticleset.xml" {
            assert!(reading.quarantine().contains("<rss>"));
            continue;
        }
        assert_eq!(reading.close.outcome, Outcome::Complete, "{uri}");
        let without_pmid = if uri.ends_with("scicopia/pubmed.xml") { 2 } else { 0 };
        assert_eq!(reading.reasons(), vec![RejectReason::MissingId; without_pmid], "{uri}");
        counts.insert(name, (reading.citations().len(), reading.deletions().len()));
    }
    for (name, expected) in [
        ("pubmedsample18n0001.xml.gz", (177, 0)),
        ("pubmed22n1115.xml.gz", (3, 34)),
        ("duplicate.xml", (0, 0)),
        ("NCBIdevset-example.pxml", (9, 0)),
        ("efetch_sample.xml", (10, 0)),
    ] {
        assert_eq!(counts[name], expected, "{name}");
    }
}

#[test]
fn the_bundled_sample_is_read_to_the_last_record() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/sample");
    let plain = std::fs::read(directory.join("pubmed-sample.xml")).unwrap();
    let packed = std::fs::read(directory.join("pubmed-sample.xml.gz")).unwrap();
    let reading = read(&packed);
    assert_eq!((reading.citations().len(), reading.deletions().len(), reading.rejects().len()), (33, 2, 0));
    assert_eq!(reading.close.outcome, Outcome::Complete);
    assert_eq!(reading.texts(), read(&plain).texts(), "the packed sample is the plain one");
    let all = reading.texts().concat();
    assert!(all.contains("𝛽") && all.contains("R 0 above 12") && !all.contains("R_0") && !all.contains("enfermedad"));
}

#[test]
fn every_real_citation_equals_that_of_lxml() {
    let Some(shared) = shared() else { return };
    let Some(python) = std::env::var_os("PUBTAG_PYTHON") else {
        eprintln!("SKIPPED: set PUBTAG_PYTHON to a Python with lxml");
        return;
    };
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/sample/pubmed-sample.xml.gz");
    let mut files = files_below(&shared.join("data/pubmed_xml"));
    files.push(sample.canonicalize().expect("the bundled sample exists"));
    let oracle = oracle(python.as_ref(), &files);
    let mut compared = 0;
    for (uri, reading) in readings(&files) {
        let rows: Vec<_> = reading.records.iter().map(|record| row(&uri, record)).collect();
        let expected = oracle.get(&uri).map_or(&[][..], Vec::as_slice);
        if !matches!(reading.close.outcome, Outcome::Complete) {
            assert!(expected.iter().all(|row| row["kind"] == "unreadable"), "{uri}");
            continue;
        }
        assert_eq!(rows.len(), expected.len(), "{uri}");
        for (ours, theirs) in rows.iter().zip(expected) {
            assert_eq!(ours, theirs, "{uri}");
        }
        compared += rows.len();
    }
    assert!(compared > 700, "only {compared} records were compared");
    eprintln!("{compared} records equal those of lxml");
}

/// The output of the oracle, by file.
fn oracle(python: &Path, files: &[PathBuf]) -> BTreeMap<String, Vec<Value>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/pubmed_text.py");
    let output = Command::new(python).arg(script).args(files).output().expect("PUBTAG_PYTHON runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut rows: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        rows.entry(row["file"].as_str().unwrap().to_owned()).or_default().push(row);
    }
    rows
}

/// A record in the form of the oracle.
fn row(uri: &str, record: &Record) -> Value {
    match record {
        Record::Document(citation) => citation_row(uri, citation),
        Record::Cached(_) => unreachable!("a source reads"),
        Record::Deletion(deletion) => json!({
            "file": uri, "kind": "deletion", "pmid": deletion.pmid.get(), "version": deletion.version.get(),
        }),
        Record::Reject(reject) => json!({ "file": uri, "kind": "reject", "reason": reject.reason.as_str() }),
    }
}

fn citation_row(uri: &str, citation: &Citation) -> Value {
    let parts = citation.text.sections().iter().filter_map(|section| match &section.kind {
        SectionKind::Title => None,
        SectionKind::Abstract { label, nlm_category } => Some((label, nlm_category)),
    });
    let (labels, categories): (Vec<_>, Vec<_>) = parts.unzip();
    json!({
        "file": uri,
        "kind": "citation",
        "pmid": citation.pmid.map(|pmid| pmid.get()),
        "version": citation.version.get(),
        "title": citation.text.title(),
        "abstract": citation.text.abstract_text(),
        "text": citation.text.as_str(),
        "labels": labels,
        "categories": categories,
        "journal": citation.journal,
        "languages": citation.language,
        "year": citation.pub_date.year,
        "revised": citation.date_revised.map(days_since_epoch),
    })
}
