//! `pubtag verify`.

use std::fs;
use std::path::{Path, PathBuf};

use pubtag_tests::{PubTag, write_corpus};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::PROGRAM;

fn output(arguments: &[&str]) -> (TempDir, PathBuf) {
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 3, 20);
    let paths: Vec<_> = inputs.iter().map(PathBuf::as_path).collect();
    let output = dir.path().join("out");
    arguments.iter().fold(PubTag::run(PROGRAM, &paths, &output), PubTag::arg).succeed();
    (dir, output)
}

fn verify(output: &Path) -> PubTag {
    PubTag::new(PROGRAM, ["verify"]).arg(output)
}

/// A part of a table.
fn part(output: &Path, table: &str) -> PathBuf {
    fs::read_dir(output.join(table)).unwrap().map(|entry| entry.unwrap().path()).min().unwrap()
}

#[test]
fn the_output_of_a_run_has_no_defects() {
    let (_dir, output) = output(&[]);
    for outcome in [verify(&output).succeed(), verify(&output).arg("--quick").succeed()] {
        assert_eq!(outcome.stdout, "");
        assert!(
            outcome.stderr.contains("3 inputs, 9 parts") && outcome.stderr.contains("no defects"),
            "{}",
            outcome.stderr
        );
    }
    let found: Value = serde_json::from_str(&verify(&output).arg("--json").succeed().stdout).unwrap();
    assert_eq!((&found["inputs"], &found["defects"], &found["rows"]["documents"]), (&3.into(), &0.into(), &60.into()));
}

#[test]
fn texts_that_were_not_kept_are_reported_as_not_checked() {
    let (_dir, output) = output(&["--text", "hash"]);
    let outcome = verify(&output).succeed();
    assert!(
        outcome.stderr.contains("not checked: offsets in 60 documents written with --text hash"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn snapshots_are_verified_in_their_own_directory() {
    let (_dir, output) = output(&[]);
    PubTag::new(PROGRAM, ["snapshot"]).arg(&output).succeed();
    let place = output.join("snapshot");
    let outcome = verify(&place).succeed();
    let said = ["1 snapshot, 2 files", "60 citations", "no defects"];
    assert!(said.iter().all(|part| outcome.stderr.contains(part)), "{}", outcome.stderr);

    let damaged = part(&place, "history");
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[100] ^= 1;
    fs::write(&damaged, &bytes).unwrap();
    verify(&place).arg("--quick").succeed();
    let outcome = verify(&place).end();
    assert_eq!(outcome.code, Some(65));
    let name = damaged.file_name().unwrap().to_str().unwrap();
    assert_eq!(outcome.stdout, format!("history/{name}: has changed since it was written\n"));
    let found: Value = serde_json::from_str(&verify(&place).arg("--json").end().stdout).unwrap();
    let expected = ("history/".to_owned() + name, 1, 60);
    assert_eq!(found["found"][0]["path"], expected.0);
    assert_eq!((&found["defects"], &found["documents"]), (&expected.1.into(), &expected.2.into()));
    // The output beside it is whole.
    verify(&output).succeed();
}

#[test]
fn each_defect_is_printed_on_a_line_and_fails_the_command() {
    let (_dir, output) = output(&[]);
    let damaged = part(&output, "annotations");
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[64] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    fs::remove_file(part(&output, "rejects")).unwrap();
    fs::write(output.join("documents/notes"), "notes").unwrap();

    let outcome = verify(&output).end();
    outcome.assert_fails(65, &["3 defects"]);
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    let name = damaged.strip_prefix(&output).unwrap().display().to_string();
    assert!(
        lines.iter().any(|line| line.starts_with(&format!("{name}: SHA-256 differs from the marker's"))),
        "{lines:?}"
    );
    assert!(
        lines.iter().any(|line| line.starts_with("rejects/") && line.contains(": missing: expected ")),
        "{lines:?}"
    );
    assert!(lines.contains(&"documents/notes: not written by pubtag: 5 bytes"), "{lines:?}");

    let outcome = verify(&output).arg("--json").end();
    assert_eq!(outcome.code, Some(65));
    let found: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(found["found"].as_array().unwrap().len(), 3, "{found}");
}

#[test]
fn a_directory_that_is_not_an_output_is_a_configuration_error() {
    let dir = tempdir().unwrap();
    verify(dir.path()).end().assert_fails(78, &["not an output of pubtag"]);
    verify(&dir.path().join("nowhere")).end().assert_fails(78, &["not an output of pubtag"]);
}

#[test]
fn terminal_escapes_in_a_file_name_are_escaped() {
    let (_dir, output) = output(&[]);
    fs::write(output.join("documents/\u{1b}[2Jnotes"), "x").unwrap();
    let outcome = verify(&output).end();
    assert_eq!(outcome.code, Some(65), "{}", outcome.stderr);
    assert!(outcome.stdout.starts_with("documents: not all files can be listed: "), "{}", outcome.stdout);
    assert!(!outcome.stdout.contains('\u{1b}'), "{:?}", outcome.stdout);
}
