//! `report.json` and `report.html` describe the run that they name, however it ended.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Child;

use pubtag_tests::{Outcome, PubTag, report, tiny_model, write_corpus};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::PROGRAM;
use crate::kill::{run, send, wait_until};

/// A directory with the output of a successful run, and that run's input.
fn tagged() -> (TempDir, PathBuf, PathBuf) {
    let dir = tempdir().unwrap();
    let input = write_corpus(dir.path(), 1, 2).remove(0);
    let output = dir.path().join("out");
    run(std::slice::from_ref(&input), &output).succeed();
    assert_eq!(report(&output)["exit_code"], 0);
    (dir, input, output)
}

/// An input that takes minutes to hash and no disk space.
fn endless(folder: &Path) -> PathBuf {
    let path = folder.join("endless.xml");
    File::create(&path).unwrap().set_len(1 << 40).unwrap();
    path
}

fn page(output: &Path) -> String {
    fs::read_to_string(output.join("report.html")).unwrap()
}

/// Starts a run that stays in its start-up, and waits until its report says `running`.
fn hang(input: &Path, output: &Path) -> Child {
    let child = PubTag::run(PROGRAM, &[input], output).start();
    wait_until("the run to say that it is running", || {
        output.join("report.json").exists() && report(output)["ending"] == "running"
    });
    child
}

fn wait(child: Child) -> Outcome {
    Outcome::of(&child.wait_with_output().unwrap())
}

/// Asserts that the call fails with a code and a word, and writes its own report.
fn assert_own_report(call: PubTag, output: &Path, code: i32, word: &str) -> Value {
    let before = report(output);
    call.end().assert_fails(code, &[word]);
    let after = report(output);
    assert_ne!(after["run_id"], before["run_id"]);
    assert_eq!((&after["ending"], &after["exit_code"]), (&"failed".into(), &code.into()), "{after}");
    let errors = after["errors"].to_string();
    assert!(errors.contains(word), "{errors} does not say {word:?}");
    let page = page(output);
    assert!(page.contains("pubtag run: failed in") && page.contains(&format!("exit code {code}")), "{page}");
    after
}

#[test]
fn a_run_that_fails_to_start_writes_its_own_report() {
    let (dir, input, output) = tagged();
    let nowhere = dir.path().join("nowhere.xml");
    assert_own_report(PubTag::run(PROGRAM, &[&nowhere], &output), &output, 65, "nowhere.xml");

    let on_cpu = || PubTag::new(PROGRAM, ["run"]).on_cpu(&output).arg(&input);
    let without_model = assert_own_report(on_cpu().arg("--model").arg(dir.path()), &output, 78, "config.json");
    assert_eq!(without_model["model"], Value::Null);

    let conflict = PubTag::run(PROGRAM, &[&input], &output).arg("--decode").arg("argmax");
    let with_model = assert_own_report(conflict, &output, 78, "decode was constrained");
    assert!(with_model["model"]["id"].as_str().unwrap().starts_with("tiny-bert@"));

    let other = dir.path().join("other.jsonl");
    fs::write(&other, "{\"id\": \"1\", \"title\": \"Gout.\", \"abstract\": \"\"}\n").unwrap();
    let on_cuda = PubTag::new(PROGRAM, ["run", "--device", "cuda", "--output"]).arg(&output).arg(&other);
    let on_cuda = on_cuda.arg("--model").arg(tiny_model()).env("CUDA_VISIBLE_DEVICES", "-1");
    assert_own_report(on_cuda, &output, 78, "cuda");

    // A file in place of the locks stops everyone, including root.
    fs::remove_dir_all(output.join("_pubtag/attempts")).unwrap();
    fs::write(output.join("_pubtag/attempts"), "in the way").unwrap();
    let before = report(&output);
    let blocked = PubTag::run(PROGRAM, &[&input], &output).end();
    assert_ne!(blocked.code, Some(0));
    assert_eq!(report(&output)["exit_code"], blocked.code.unwrap());
    assert_ne!(report(&output)["run_id"], before["run_id"]);
}

#[test]
fn a_folder_that_is_not_an_output_gets_no_report() {
    let dir = tempdir().unwrap();
    let input = write_corpus(dir.path(), 1, 1).remove(0);
    let output = dir.path().join("results");
    fs::create_dir(&output).unwrap();
    for name in ["report.json", "report.html"] {
        fs::write(output.join(name), "of somebody else").unwrap();
    }
    PubTag::run(PROGRAM, &[&input], &output).end().assert_fails(78, &["report.html"]);
    PubTag::run(PROGRAM, &[&dir.path().join("nowhere.xml")], &output).end().assert_fails(65, &["nowhere.xml"]);
    for name in ["report.json", "report.html"] {
        assert_eq!(fs::read_to_string(output.join(name)).unwrap(), "of somebody else");
    }
    assert_eq!(fs::read_dir(&output).unwrap().count(), 2);
}

#[test]
fn the_report_of_a_killed_run_says_running() {
    let (dir, _, output) = tagged();
    let before = report(&output);
    let mut child = hang(&endless(dir.path()), &output);
    child.kill().unwrap();
    child.wait().unwrap();
    let after = report(&output);
    assert_ne!(after["run_id"], before["run_id"]);
    assert_eq!((&after["ending"], &after["exit_code"]), (&"running".into(), &Value::Null));
    assert!(page(&output).contains("pubtag run: running since"), "{}", page(&output));
}

#[test]
fn the_report_of_a_run_killed_in_a_new_output_says_running() {
    let dir = tempdir().unwrap();
    let output = dir.path().join("out");
    let mut child = hang(&endless(dir.path()), &output);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(report(&output)["exit_code"], Value::Null);
}

#[test]
fn the_last_of_two_runs_to_end_leaves_its_report() {
    let (dir, _, output) = tagged();
    let first = hang(&endless(dir.path()), &output);
    let of_first = report(&output)["run_id"].clone();
    let other = dir.path().join("other.jsonl");
    fs::write(&other, "{\"id\": \"1\", \"title\": \"Gout.\", \"abstract\": \"\"}\n").unwrap();
    PubTag::run(PROGRAM, &[&other], &output).succeed();
    assert_ne!(report(&output)["run_id"], of_first);
    assert_eq!(report(&output)["exit_code"], 0);

    send(&first, "TERM");
    wait(first);
    assert_eq!(report(&output)["run_id"], of_first);
}

#[test]
fn a_signal_during_start_up_ends_the_run_at_once_and_is_reported() {
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let (dir, _, output) = tagged();
        let child = hang(&endless(dir.path()), &output);
        send(&child, signal);
        wait(child).assert_fails(code, &["interrupted before the first citation"]);
        let after = report(&output);
        assert_eq!((&after["ending"], &after["exit_code"]), (&"interrupted".into(), &code.into()));
    }
}
