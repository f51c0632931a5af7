//! `pubtag inspect` and `pubtag show`.

use std::fs;
use std::path::{Path, PathBuf};

use pubtag_tests::{PubTag, article, article_set, python, read_table, tiny_model, write_corpus};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::PROGRAM;
use crate::year::compare;

#[test]
fn a_model_is_described() {
    let outcome = PubTag::new(PROGRAM, ["inspect"]).arg(tiny_model()).succeed();
    for word in ["tiny-bert", "Bert", "B-Disease", "fingerprint", "parameters"] {
        assert!(outcome.stdout.contains(word), "{word} in {}", outcome.stdout);
    }
    let inside: Value = serde_json::from_str(&PubTag::new(PROGRAM, ["inspect", "--json"]).succeed().stdout).unwrap();
    assert_eq!(inside["labels"], serde_json::json!(["O", "B-Disease", "I-Disease"]));
    assert!(inside["parameters"].as_u64().unwrap() > 20_000_000);
    assert!(inside["training"]["command"].as_str().unwrap().starts_with("pubtag train"));
}

#[test]
fn an_output_is_described_and_its_documents_are_shown() {
    let dir = tempdir().unwrap();
    let output = dir.path().join("out");
    let inputs = write_corpus(dir.path(), 3, 20);
    let paths: Vec<_> = inputs.iter().map(std::path::PathBuf::as_path).collect();
    PubTag::run(PROGRAM, &paths, &output).succeed();
    let found: Value =
        serde_json::from_str(&PubTag::new(PROGRAM, ["inspect", "--json"]).arg(&output).succeed().stdout).unwrap();
    assert_eq!((&found["inputs"], &found["runs"]), (&Value::from(3), &Value::from(1)));
    assert_eq!(found["tables"]["documents"]["rows"], 60);
    assert_eq!(found["statuses"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum::<u64>(), 60);
    let page = PubTag::new(PROGRAM, ["inspect"]).arg(&output).succeed().stdout;
    assert!(page.contains("60 rows in 3 files") && page.contains("top mention"), "{page}");

    let show = |id: &str| PubTag::new(PROGRAM, ["show", id, "--output"]).arg(&output);
    let page = show("990000007").succeed().stdout;
    assert!(page.starts_with("990000007 · pubmed26n0001.xml.gz · tiny-bert@"), "{page}");
    assert!(page.contains("|Disease]"), "the random model finds something: {page}");
    assert!(show("990000007").arg("--color=always").succeed().stdout.contains("\x1b[1;"));
    show("1").end().assert_fails(65, &["document 1 not found"]);
    PubTag::new(PROGRAM, ["show", "1", "--output"])
        .arg(dir.path())
        .end()
        .assert_fails(78, &["not an output of pubtag"]);
    PubTag::new(PROGRAM, ["inspect"]).arg(dir.path()).end().assert_fails(78, &["neither a model", "nor an output"]);
}

#[test]
fn the_current_row_of_a_revised_citation_is_shown() {
    let dir = tempdir().unwrap();
    let output = dir.path().join("out");
    let write = |name: &str, title: &str| {
        let path = dir.path().join(name);
        fs::write(&path, article_set(&[article(990_000_001, title, "Nothing.")])).unwrap();
        path
    };
    let (old, new) = (write("pubmed26n0001.xml", "Old title."), write("pubmed26n0002.xml", "New title."));
    PubTag::run(PROGRAM, &[&new, &old], &output).succeed();
    let page = PubTag::new(PROGRAM, ["show", "990000001", "--output"]).arg(&output).succeed().stdout;
    assert!(page.contains("pubmed26n0002.xml"), "{page}");
    let hashed = dir.path().join("hashed");
    PubTag::run(PROGRAM, &[&new], &hashed).arg("--text=hash").succeed();
    PubTag::new(PROGRAM, ["show", "990000001", "--output"]).arg(&hashed).end().assert_fails(78, &["--text hash"]);
}

/// Of each, the last is current: the files of one run have the same name.
const STATES: [&str; 4] = [
    r#"{"pmid": 1, "title": "Huntington disease and gout in Maine"}"#,
    r#"{"pmid": 1, "title": "A much longer erratum without anything to see"}"#,
    r#"{"pmid": 2, "id": "other", "title": "Gout, ataxia and anaemia in mice"}"#,
    r#"{"pmid": 2, "id": "other", "title": "Ataxia, a new ataxia"}"#,
];

/// Writes each state to a file `update.jsonl` of its own.
fn states(dir: &Path) -> Vec<PathBuf> {
    let write = |(number, state): (usize, &&str)| {
        let folder = dir.join(number.to_string());
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("update.jsonl"), state).unwrap();
        folder.join("update.jsonl")
    };
    STATES.iter().enumerate().map(write).collect()
}

fn show(output: &Path, id: &str) -> String {
    PubTag::new(PROGRAM, ["show", id, "--output"]).arg(output).succeed().stdout
}

#[test]
fn a_document_is_shown_with_its_own_mentions_whatever_its_file_and_id_are_called() {
    let dir = tempdir().unwrap();
    let files = states(dir.path());
    let inputs: Vec<_> = files.iter().map(PathBuf::as_path).collect();
    let [together, one_by_one, last] = ["together", "one by one", "last"].map(|name| dir.path().join(name));
    PubTag::run(PROGRAM, &inputs, &together).succeed();
    inputs.iter().for_each(|input| drop(PubTag::run(PROGRAM, &[input], &one_by_one).succeed()));
    PubTag::run(PROGRAM, &[inputs[1], inputs[3]], &last).succeed();
    for output in [&together, &one_by_one] {
        assert_eq!(show(output, "1"), show(&last, "1"));
        assert_eq!(show(output, "2"), show(&last, "2"));
        assert_eq!(show(output, "other").split_once(' ').unwrap().1, show(&last, "2").split_once(' ').unwrap().1);
    }
    assert!(show(&last, "1").contains("erratum") && show(&last, "2").contains("new"));
}

#[test]
fn views_and_snapshot_agree_on_files_of_the_same_name_in_a_path_with_brackets() {
    let Some(python) = python("views_and_snapshot_agree_on_files_of_the_same_name_in_a_path_with_brackets") else {
        return;
    };
    let dir = tempdir().unwrap();
    let inputs = states(dir.path());
    let output = dir.path().join("out [1]*");
    PubTag::run(PROGRAM, &inputs.iter().map(PathBuf::as_path).collect::<Vec<_>>(), &output).succeed();
    PubTag::new(PROGRAM, ["snapshot"]).arg(&output).succeed();
    let parts = |table: &str| -> Vec<String> {
        let listed = PubTag::new(PROGRAM, ["inspect", "--parts", table]).arg(&output).succeed().stdout;
        listed.lines().map(str::to_owned).collect()
    };
    let parts = json!({"documents": parts("documents"), "annotations": parts("annotations")});
    let found = compare(&python, &[json!({"output": output, "snapshot": null, "parts": parts})]);
    assert_eq!(found[0]["documents"], 2);
}

#[test]
fn the_same_documents_from_any_format_give_the_same_rows() {
    let dir = tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let path = dir.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let inputs = [
        write("a.jsonl", "{\"pmid\": 990000001, \"title\": \"Gout.\", \"abstract\": \"Ataxia in mice, new.\"}\n"),
        write("a.csv", "pmid,title,abstract\n990000001,Gout.,\"Ataxia in mice, new.\"\n"),
        write("a.tsv", "pmid\ttitle\tabstract\n990000001\tGout.\tAtaxia in mice, new.\n"),
        write("a.nbib", "PMID- 990000001\nTI  - Gout.\nAB  - Ataxia in mice,\n      new.\nSO  - x\n"),
        write("a.xml", &article_set(&[article(990_000_001, "Gout.", "Ataxia in mice, new.")])),
    ];
    let ids_of = |input: &std::path::PathBuf| -> Vec<String> {
        let output = dir.path().join(format!("{}-out", input.extension().unwrap().to_string_lossy()));
        PubTag::run(PROGRAM, &[input], &output).succeed();
        let rows = read_table(&output, "annotations");
        let mut ids: Vec<_> = rows.iter().map(|row| row.split('\u{1f}').next().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    let first = ids_of(&inputs[0]);
    assert!(!first.is_empty() && first[0].starts_with("annotation_id="), "{first:?}");
    for input in &inputs[1..] {
        assert_eq!(ids_of(input), first, "{}", input.display());
    }
}

#[test]
fn a_selftest_compares_every_supported_precision() {
    let call =
        PubTag::new(PROGRAM, ["selftest", "--device", "cpu", "--token-budget", "128", "--model"]).arg(tiny_model());
    let table = call.succeed().stdout;
    let lines = |precision: &str| table.lines().filter(|line| line.starts_with(&format!("| {precision} |"))).count();
    assert_eq!((lines("f32"), lines("int8"), lines("f16")), (5, 5, 1), "{table}");
    assert!(!table.contains("differs") && !table.contains("failed"), "{table}");
}
