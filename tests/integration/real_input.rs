//! Real PubMed files: each is accounted for, and each text equals an independent reader's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use pubtag_tests::{Outcome, PubTag, python, read_table, report, shared};
use serde_json::Value;
use tempfile::tempdir;

use crate::PROGRAM;

#[test]
fn every_real_file_is_accounted_for() {
    let Some(shared) = shared("every_real_file_is_accounted_for") else { return };
    let dir = tempdir().unwrap();
    let (folder, output) = (dir.path().join("in"), dir.path().join("out"));
    link(&shared.join("data/pubmed_xml"), &folder);
    let outcome = PubTag::run(PROGRAM, &[&folder], &output).end();
    let report = report(&output);
    let inputs = report["inputs"].as_array().unwrap();
    let of_status = |status: &str| inputs.iter().filter(|input| input["status"] == status).collect::<Vec<_>>();
    let on_disk = walk(&folder);
    assert_eq!(inputs.len(), on_disk, "every file of the folder has its line in the report");
    for skipped in of_status("skipped") {
        let path = skipped["input"].as_str().unwrap();
        let no_citations = path.ends_with(".md") || path.ends_with("ncbiutils/no_pubmedarticleset.xml");
        assert!(no_citations && skipped["reason"].is_string(), "{skipped}");
    }
    assert!(of_status("quarantined").is_empty() && of_status("committed").len() > 30);
    // One file was edited by hand: two of its records have no PMID.
    assert_eq!(outcome.code, Some(65), "{}", outcome.stderr);
    let rejects = read_table(&output, "rejects");
    assert!(rejects.len() == 2 && rejects.iter().all(|row| row.contains("reason=missing_id")), "{rejects:?}");

    let rows = read_table(&output, "documents").len() as u64;
    let met = |key: &str| inputs.iter().map(|input| input[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!(rows, met("citations") + met("deletions"), "{}", report["reconciliation"]);
    assert!(rows > 850, "only {rows} citations and deletions in all of the real files");
}

/// Links all files, except the unpacked copy of one that is there as well: two files of one number are refused.
fn link(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let place = to.join(entry.file_name().unwrap());
        match entry.is_dir() {
            true => link(&entry, &place),
            false if entry.ends_with("pubmed22n1115.xml") => {}
            false => std::os::unix::fs::symlink(&entry, &place).unwrap(),
        }
    }
}

fn walk(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { walk(&path) } else { 1 }).sum()
}

#[test]
fn texts_equal_an_independent_extraction() {
    const TEST: &str = "texts_equal_an_independent_extraction";
    let (Some(shared), Some(python)) = (shared(TEST), python(TEST)) else { return };
    let dir = tempdir().unwrap();
    let (folder, output) = (dir.path().join("in"), dir.path().join("out"));
    link(&shared.join("data/pubmed_xml"), &folder);
    PubTag::run(PROGRAM, &[&folder], &output).end();

    let committed: Vec<PathBuf> = report(&output)["inputs"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|input| input["status"] == "committed")
        .map(|input| PathBuf::from(input["input"].as_str().unwrap()))
        .collect();
    let (mut ours, mut theirs) = (texts(&read_table(&output, "documents")), oracle(&python, &committed));
    assert!(theirs.values().map(Vec::len).sum::<usize>() > 790);
    for texts in ours.values_mut().chain(theirs.values_mut()) {
        texts.sort();
    }
    for (key, texts) in &theirs {
        assert_eq!(ours.get(key), Some(texts), "{key:?}");
    }
    assert_eq!(ours.len(), theirs.len());
}

/// Texts by file name and PMID.
type Texts = BTreeMap<(String, String), Vec<(String, String)>>;

fn texts(documents: &[String]) -> Texts {
    let mut texts = Texts::new();
    for row in documents {
        let field = |name: &str| {
            let start = format!("{name}=");
            row.split('\u{1f}').find_map(|field| field.strip_prefix(&start)).unwrap().to_owned()
        };
        if field("status") != "deleted" {
            let key = (field("source_file"), field("pmid"));
            texts.entry(key).or_default().push((field("title"), field("abstract")));
        }
    }
    texts
}

/// What lxml reads in the same files by the same rules.
fn oracle(python: &Path, files: &[PathBuf]) -> Texts {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracles/pubmed_text.py");
    let mut texts = Texts::new();
    for file in files {
        let outcome = Outcome::of(&Command::new(python).arg(&script).arg(file).output().unwrap());
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        for line in outcome.stdout.lines() {
            let citation: Value = serde_json::from_str(line).unwrap();
            if citation["kind"] != "citation" {
                continue;
            }
            let text = |key: &str| citation[key].as_str().unwrap().to_owned();
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            let pmid = citation["pmid"].as_str().map_or_else(|| citation["pmid"].to_string(), str::to_owned);
            texts.entry((name, pmid)).or_default().push((text("title"), text("abstract")));
        }
    }
    texts
}
