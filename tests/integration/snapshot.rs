//! `pubtag snapshot`: what it refuses, and what it says.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use pubtag_tests::{PubTag, article, article_set, sample_article, write_corpus};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::PROGRAM;
use crate::kill::{commits, run};

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

/// Every file below a directory, with its content.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| match path.is_dir() {
        true => contents(&path),
        false => BTreeMap::from([(path.clone(), fs::read(path).unwrap())]),
    };
    entries.flat_map(below).collect()
}

#[test]
fn a_place_that_contains_something_else_is_refused_and_stays_as_it_was() {
    let (dir, out) = output();
    let (_other_dir, other) = output();
    let home = dir.path().join("home");
    fs::create_dir_all(home.join("documents/letters")).unwrap();
    for name in ["documents/thesis.odt", "documents/letters/one", "notes.txt", "song#1"] {
        fs::write(home.join(name), name).unwrap();
    }
    let refused = |place: &Path, why: &str| {
        let before = contents(place);
        snapshot(&out).arg("--into").arg(place).end().assert_fails(78, &[&place.display().to_string(), why]);
        assert_eq!(contents(place), before);
    };
    refused(&home, "contains other files (documents/, notes.txt)");
    refused(&out, "contains an output of pubtag");
    refused(&other, "contains an output of pubtag");
    refused(&out.join("documents"), "among the tables of an output");
    snapshot(&out).arg("--into").arg(other.join("annotations/new")).end().assert_fails(78, &["among the tables"]);
    assert!(!other.join("annotations/new").exists());

    snapshot(&other).succeed();
    refused(&other.join("snapshot"), "has the snapshots of another output");
    for output in [&out, &other] {
        PubTag::new(PROGRAM, ["verify"]).arg(output).succeed();
    }
}

#[test]
fn files_beside_those_of_a_snapshot_stay() {
    let (dir, output) = output();
    snapshot(&output).succeed();
    let place = output.join("snapshot");
    fs::create_dir(place.join("history/letters")).unwrap();
    let theirs = ["documents/thesis.odt", "history/letters/one", "documents/notes.parquet", "song#1"];
    for name in theirs {
        fs::create_dir_all(place.join(name).parent().unwrap()).unwrap();
        fs::write(place.join(name), name).unwrap();
    }
    for number in 3..6 {
        let more = dir.path().join(format!("pubmed26n000{number}.xml"));
        fs::write(&more, article_set(&[sample_article(number)])).unwrap();
        run(&[more], &output).succeed();
        // Half written by a process that was killed.
        fs::write(place.join("latest.json#1"), "{").unwrap();
        snapshot(&output).arg("--keep").arg("1").succeed();
    }
    assert!(!place.join("latest.json#1").exists());
    for name in theirs {
        assert_eq!(fs::read_to_string(place.join(name)).unwrap(), name);
    }
}

#[test]
fn a_snapshot_from_before_there_were_marks_is_continued() {
    let (_dir, output) = output();
    snapshot(&output).succeed();
    let place = output.join("snapshot");
    fs::remove_dir_all(place.join("_pubtag")).unwrap();
    assert!(snapshot(&output).succeed().stderr.contains("up to date"));
    assert!(place.join("_pubtag/snapshot.json").exists());
}

#[test]
fn snapshots_and_caches_among_the_inputs_are_not_inputs() {
    let dir = tempdir().unwrap();
    let (inputs, out) = (dir.path().join("in"), dir.path().join("out"));
    fs::create_dir(&inputs).unwrap();
    write_corpus(&inputs, 2, 20);
    let night = || {
        let run = run(std::slice::from_ref(&inputs), &out).arg("--cache").arg(inputs.join("cache"));
        run.succeed();
        snapshot(&out).arg("--into").arg(inputs.join("current")).succeed();
    };
    night();
    night();
    assert_eq!(commits(&out), 2);
}
