//! pyarrow, DuckDB and Polars read the output of a run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pubtag_tests::{Outcome, PubTag, article, article_set, python, sample_article};
use serde_json::Value;
use tempfile::tempdir;

use crate::PROGRAM;

fn check(python: &Path, output: &Path) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("readers/check.py");
    let outcome = Outcome::of(&Command::new(python).arg(script).arg(output).output().unwrap());
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[test]
fn pyarrow_duckdb_and_polars_read_the_same_rows_with_right_offsets() {
    let Some(python) = python("pyarrow_duckdb_and_polars_read_the_same_rows_with_right_offsets") else { return };
    let dir = tempdir().unwrap();
    let mut articles: Vec<String> = (0..60).map(sample_article).collect();
    articles.push(article(
        990_100_001,
        "𝛽-catenin 癌症 cafe\u{301}",
        "Naïve ﬁbrosis\u{a0}of the \u{1f9ec} gene, ataxia\u{2009}type 2.",
    ));
    articles.push(article(990_100_002, "Broken <b>title", "x"));
    // A newer version of one citation, and another deleted: the views must see both.
    articles.push(article(990_000_003, "Colon cancer, corrected", "Hereditary colon cancer."));
    articles.push("<DeleteCitation><PMID Version=\"1\">990000004</PMID></DeleteCitation>".into());
    let input = dir.path().join("pubmed26n0007.xml");
    fs::write(&input, article_set(&articles)).unwrap();
    let output = dir.path().join("out");
    PubTag::run(PROGRAM, &[&input], &output).arg("--max-rejects").arg("5").succeed();

    let counts = check(&python, &output);
    assert_eq!((&counts["documents"], &counts["rejects"]), (&63.into(), &1.into()));
    // 62 citations, one of them superseded, one deleted.
    assert_eq!(counts["current_documents"], 60);
    assert!(counts["annotations"].as_u64().is_some_and(|count| count > 0));
}

#[test]
fn the_bundled_sample_has_no_rejects_and_all_readers_read_it() {
    let Some(python) = python("the_bundled_sample_has_no_rejects_and_all_readers_read_it") else { return };
    let dir = tempdir().unwrap();
    let sample = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/sample/pubmed-sample.xml.gz");
    let output = dir.path().join("out");
    PubTag::run(PROGRAM, &[&sample], &output).arg("--max-rejects").arg("0").succeed();
    let counts = check(&python, &output);
    assert_eq!(counts["rejects"], 0);
    assert!(counts["documents"].as_u64().is_some_and(|count| count >= 24), "{counts}");
}
