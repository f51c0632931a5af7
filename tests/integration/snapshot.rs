//! `pubtag snapshot`: what it refuses, and what it says.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use pubtag_tests::{PubTag, article, article_set, sample_article, write_corpus};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::PROGRAM;
use crate::kill::run;

fn snapshot(output: &Path) -> PubTag {
    PubTag::new(PROGRAM, ["snapshot"]).arg(output)
}

/// An output of two files, and its directory.
fn output() -> (TempDir, PathBuf) {
    let dir = tempdir().unwrap();
    let output = dir.path().join("out");
    run(&write_corpus(dir.path(), 2, 20), &output).succeed();
    (dir, output)
}

fn latest(output: &Path) -> Value {
    serde_json::from_slice(&fs::read(output.join("snapshot/latest.json")).unwrap()).unwrap()
}

fn some_file(output: &Path, table: &str) -> PathBuf {
    let path = latest(output)["buckets"][0][table]["path"].as_str().unwrap().to_owned();
    output.join("snapshot").join(path)
}

#[test]
fn only_an_output_has_a_snapshot() {
    let dir = tempdir().unwrap();
    snapshot(&dir.path().join("none")).end().assert_fails(78, &["not an output of pubtag"]);
    snapshot(dir.path()).end().assert_fails(78, &["not an output of pubtag"]);
    assert!(fs::read_dir(dir.path()).unwrap().next().is_none(), "nothing was created");
}

#[test]
fn an_unknown_generation_is_refused_and_names_those_that_exist() {
    let (_dir, output) = output();
    snapshot(&output).arg("--generation").arg("2031").end().assert_fails(78, &["2031", "2026"]);
    assert!(!output.join("snapshot/latest.json").exists());
    snapshot(&output).arg("--generation").arg("2026").succeed();
}

#[test]
fn a_damaged_or_lost_file_of_the_published_snapshot_is_named_and_nothing_is_published() {
    for table in ["documents", "history"] {
        let (dir, output) = output();
        snapshot(&output).succeed();
        let before = latest(&output);
        let more = dir.path().join("pubmed26n0003.xml");
        fs::write(&more, article_set(&[article(990_000_003, "Gout, corrected", "Familial gout.")])).unwrap();
        run(&[more], &output).succeed();

        let file = some_file(&output, table);
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&file, &bytes).unwrap();
        snapshot(&output).end().assert_fails(65, &[&name, "has changed", "delete"]);
        fs::remove_file(&file).unwrap();
        snapshot(&output).end().assert_fails(65, &[&name, "is missing", "delete"]);
        assert_eq!(latest(&output), before);

        fs::remove_dir_all(output.join("snapshot")).unwrap();
        snapshot(&output).succeed();
        assert_eq!(latest(&output)["documents"], 40);
    }
}

#[test]
fn a_lost_part_of_the_output_leaves_the_published_snapshot() {
    let (dir, output) = output();
    snapshot(&output).succeed();
    let more = dir.path().join("pubmed26n0003.xml");
    fs::write(&more, article_set(&[sample_article(77)])).unwrap();
    run(&[more], &output).succeed();
    let parts = PubTag::new(PROGRAM, ["inspect", "--parts", "annotations"]).arg(&output).succeed().stdout;
    let part = parts.lines().find(|part| part.contains("pubmed26n0003")).unwrap();
    fs::remove_file(part).unwrap();
    let before = latest(&output);
    snapshot(&output).end().assert_fails(75, &["pubmed26n0003", "pubtag verify"]);
    assert_eq!(latest(&output), before);
}

#[test]
fn a_second_snapshot_at_the_same_time_is_told_to_wait() {
    let (_dir, output) = output();
    snapshot(&output).succeed();
    let lock = File::options().write(true).open(output.join("snapshot/.lock")).unwrap();
    lock.lock().unwrap();
    snapshot(&output).end().assert_fails(75, &["another snapshot is in progress"]);
    drop(lock);
    assert!(snapshot(&output).succeed().stderr.contains("up to date"));
}

#[test]
fn a_lost_or_old_pointer_is_repaired() {
    let (_dir, output) = output();
    snapshot(&output).succeed();
    let (pointer, whole) = (output.join("snapshot/latest.json"), latest(&output));
    fs::remove_file(&pointer).unwrap();
    snapshot(&output).succeed();
    assert_eq!(latest(&output), whole);
    fs::write(&pointer, "{}").unwrap();
    snapshot(&output).succeed();
    assert_eq!(latest(&output), whole);
}

#[test]
fn verify_and_run_leave_a_snapshot_alone() {
    let (dir, output) = output();
    snapshot(&output).succeed();
    let before = latest(&output);
    PubTag::new(PROGRAM, ["verify"]).arg(&output).succeed();
    run(&write_corpus(dir.path(), 2, 20), &output).succeed();
    assert_eq!(latest(&output), before);
    assert!(some_file(&output, "documents").exists());
}
