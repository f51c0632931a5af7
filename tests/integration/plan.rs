//! `pubtag plan`: what it counts is what a run counts.

use std::fs;
use std::path::Path;

use pubtag_tests::{PubTag, report, tiny_model, write_corpus};
use serde_json::Value as Json;
use tempfile::tempdir;

use crate::PROGRAM;
use crate::kill::run;

fn plan(inputs: &Path) -> PubTag {
    PubTag::new(PROGRAM, ["plan", "--device=cpu", "--sample=60s"]).arg("--model").arg(tiny_model()).arg(inputs)
}

fn json(call: PubTag) -> Json {
    serde_json::from_str(&call.arg("--format=json").succeed().stdout).unwrap()
}

#[test]
fn a_plan_counts_what_a_run_counts() {
    let dir = tempdir().unwrap();
    let corpus = dir.path().join("corpus");
    fs::create_dir(&corpus).unwrap();
    let inputs = write_corpus(&corpus, 6, 50);
    let output = dir.path().join("out");
    let planned = json(plan(&corpus).arg("--deadline=0.0001"));
    // All files are small enough to be read, and tagged, as a whole.
    let [measured, computed] = ["measured", "computed"].map(|part| &planned[part]);
    assert_eq!((&measured["read"]["files"], &measured["read"]["citations"]), (&6.into(), &300.into()), "{planned}");
    assert_eq!((&measured["tagged"]["citations"], &computed["citations"]), (&300.into(), &300.into()), "{planned}");

    run(&inputs, &output).arg("--no-cache").succeed();
    let ran = report(&output);
    assert_eq!(computed["tokens"], ran["packing"]["tokens"]);
    let written: u64 = ["annotations", "documents", "rejects"].iter().map(|table| bytes(&output.join(table))).sum();
    let ratio = computed["output_bytes"].as_f64().unwrap() / written as f64;
    assert!((0.2..1.5).contains(&ratio), "{ratio} of {written} bytes");
    let seconds = computed["seconds"].as_f64().unwrap();
    let workers = computed["workers"].as_f64().unwrap();
    assert!(workers >= seconds / 0.0001 && workers < seconds / 0.0001 + 1.0, "{planned}");
    assert_eq!(fs::read_dir(&corpus).unwrap().count(), 6, "a plan writes nothing there");
}

fn bytes(folder: &Path) -> u64 {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn what_is_committed_in_the_output_needs_no_plan() {
    let dir = tempdir().unwrap();
    let corpus = dir.path().join("corpus");
    fs::create_dir(&corpus).unwrap();
    let inputs = write_corpus(&corpus, 3, 20);
    let output = dir.path().join("out");
    let listed = |call: PubTag| call.arg("--list").succeed().stdout.lines().map(str::to_owned).collect::<Vec<_>>();
    let with_output = || plan(&corpus).arg("--output").arg(&output);
    assert_eq!(listed(with_output()).len(), 3);
    assert!(!output.exists(), "a plan writes nothing");
    run(&inputs[..1], &output).succeed();
    assert_eq!(listed(with_output()), inputs[1..].iter().map(|path| path.display().to_string()).collect::<Vec<_>>());
    assert_eq!(listed(with_output().arg("--text=hash")).len(), 3, "committed with other settings");
    let planned = json(with_output());
    assert_eq!((&planned["inputs"]["files"], &planned["inputs"]["committed_files"]), (&2.into(), &1.into()));
    let page = with_output().succeed().stdout;
    assert!(page.contains("2 files") && page.contains("1 file committed already"), "{page}");
}

#[test]
fn a_plan_without_citations_or_inputs_fails() {
    let dir = tempdir().unwrap();
    plan(&dir.path().join("missing")).end().assert_fails(65, &["missing"]);
    PubTag::new(PROGRAM, ["plan"]).end().assert_fails(2, &["INPUT"]);
    let done = dir.path().join("out");
    let inputs = write_corpus(dir.path(), 1, 3);
    run(&inputs, &done).succeed();
    let outcome = plan(&inputs[0]).arg("--output").arg(&done).end();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(outcome.stdout.contains("0 files"), "{}", outcome.stdout);
}
