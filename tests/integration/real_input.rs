//! Real PubMed files: every one accounted for, every text as an independent reader sees it.

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
    let output = dir.path().join("out");
    let outcome = PubTag::run(PROGRAM, &[&shared.join("data/pubmed_xml")], &output).end();
    let report = report(&output);
    let inputs = report["inputs"].as_array().unwrap();
    for input in inputs {
        let known = ["committed", "duplicate", "quarantined"].contains(&input["status"].as_str().unwrap());
        assert!(known, "{input}");
    }
    let quarantined: Vec<_> = inputs.iter().filter(|input| input["status"] == "quarantined").collect();
    let named = |name: &str| quarantined.iter().any(|input| input["input"].as_str().unwrap().ends_with(name));
    assert!(named("ncbiutils/no_pubmedarticleset.xml") && quarantined.len() == 1, "{quarantined:?}");
    assert_eq!(outcome.code, Some(65), "{}", outcome.stderr);
    assert_eq!(report["identity"]["rejects"], 0, "{}", report["identity"]);

    let rows = read_table(&output, "documents").len() as u64;
    let met = |key: &str| inputs.iter().map(|input| input[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!(rows, met("citations") + met("deletions"));
    assert!(rows > 900, "only {rows} records in all of the real files");
}

#[test]
fn texts_equal_an_independent_extraction() {
    const TEST: &str = "texts_equal_an_independent_extraction";
    let (Some(shared), Some(python)) = (shared(TEST), python(TEST)) else { return };
    let dir = tempdir().unwrap();
    let output = dir.path().join("out");
    PubTag::run(PROGRAM, &[&shared.join("data/pubmed_xml")], &output).end();

    let committed: Vec<PathBuf> = report(&output)["inputs"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|input| input["status"] == "committed")
        .map(|input| PathBuf::from(input["input"].as_str().unwrap()))
        .collect();
    let (mut ours, mut theirs) = (texts(&read_table(&output, "documents")), oracle(&python, &committed));
    assert!(theirs.values().map(Vec::len).sum::<usize>() > 900);
    for texts in ours.values_mut().chain(theirs.values_mut()) {
        texts.sort();
    }
    for (key, texts) in &theirs {
        assert_eq!(ours.get(key), Some(texts), "{key:?}");
    }
    assert_eq!(ours.len(), theirs.len());
}

/// File name and PMID → the texts that it has there.
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

/// What lxml makes of the same files under the same rules.
fn oracle(python: &Path, files: &[PathBuf]) -> Texts {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracles/pubmed_text.py");
    let mut texts = Texts::new();
    for file in files {
        let outcome = Outcome::of(&Command::new(python).arg(&script).arg(file).output().unwrap());
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        for line in outcome.stdout.lines() {
            let citation: Value = serde_json::from_str(line).unwrap();
            let text = |key: &str| citation[key].as_str().unwrap().to_owned();
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            let pmid = citation["pmid"].as_str().map_or_else(|| citation["pmid"].to_string(), str::to_owned);
            texts.entry((name, pmid)).or_default().push((text("title"), text("abstract")));
        }
    }
    texts
}
