//! Our models: what their cards say holds, through `pubtag run` and `pubtag evaluate`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pubtag_tests::{PubTag, peers_python, python, shared};
use serde_json::Value;
use tempfile::tempdir;

use crate::PROGRAM;

/// The test corpora, as the card names them, and their files.
const CORPORA: [(&str, &str); 3] = [
    ("NCBI Disease test", "data/ncbi_disease/pubtator/NCBItestset_corpus.txt"),
    ("BC5CDR test", "data/aioner/test/BC5CDR_Test.PubTator"),
    ("BioRED test", "data/aioner/test/BioRED_Test.PubTator"),
];

/// The model inside the program.
const BUNDLED: &str = "pubtag-disease";
/// The model for six entity types, beside it in the repository.
const BIOMEDICAL: &str = "pubtag-biomedical";

const INT8: [&str; 2] = ["--precision", "int8"];

/// A column of F1 in the card's table, and the options that it is measured with.
type Column = (&'static str, &'static [&'static str]);

/// The columns that hold on this processor: with int8, some attend in bfloat16.
fn columns() -> [Column; 3] {
    #[cfg(target_arch = "x86_64")]
    let attends_in_bf16 = std::arch::is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    let attends_in_bf16 = false;
    let int8 = if attends_in_bf16 { "F1, int8 with AVX512_BF16" } else { "F1, int8" };
    [("F1", &[]), (int8, &INT8), ("F1, without abbreviations", &["--abbreviations", "off"])]
}

/// Sums round differently on other processors.
const TOLERANCE: f64 = 0.002;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn directory(model: &str) -> PathBuf {
    repository().join("deploy/models").join(model)
}

fn card(model: &str) -> String {
    fs::read_to_string(directory(model).join("README.md")).unwrap()
}

/// The rows of the table under a heading of the card, its heads first.
fn table(card: &str, heading: &str) -> Vec<Vec<String>> {
    let section = card.split(&format!("### {heading}\n")).nth(1).unwrap_or_else(|| panic!("no section {heading}"));
    let lines = section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    lines.filter(|line| !line.starts_with("|--")).map(cells).collect()
}

/// F1 by type, strict, of the rows that a run of a model writes.
fn through_run(python: &Path, model: &str, gold: &Path, options: &[&str]) -> Value {
    let script = repository().join("tests/peers/through_run.py");
    let mut command = Command::new(python);
    command.arg(script).arg(gold).args(["--json", "--pubtag", PROGRAM]);
    if model != BUNDLED {
        command.arg("--model").arg(directory(model));
    }
    command.args(["--", "--device", "cpu"]).args(options);
    let output = command.env_remove("PUBTAG_MODEL").output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

/// Holds a column of a card's table to what a run finds in a corpus.
fn check_column(model: &str, corpus: &str, file: &Path, (head, options): Column, python: &Path) {
    let rows = table(&card(model), "Through `pubtag run`");
    let column = rows[0].iter().position(|cell| cell == head).unwrap_or_else(|| panic!("no column {head}"));
    let of_corpus: Vec<_> = rows.iter().filter(|row| row[0] == corpus).collect();
    assert!(!of_corpus.is_empty(), "{corpus} is not on the card");
    let found = through_run(python, model, file, options);
    for row in of_corpus {
        let said: f64 = row[column].parse().unwrap_or_else(|_| panic!("{row:?}"));
        let f1 = found["scores"][&row[1]]["f1"].as_f64().unwrap_or_else(|| panic!("{} of {found}", row[1]));
        assert!((f1 - said).abs() < TOLERANCE, "{corpus}, {}, {head}: {f1} here, {said} on the card", row[1]);
    }
}

#[test]
fn a_run_reproduces_the_model_cards_scores() {
    let Some(shared) = shared("a_run_reproduces_the_model_cards_scores") else { return };
    let Some(python) = python("a_run_reproduces_the_model_cards_scores") else { return };
    for model in [BUNDLED, BIOMEDICAL] {
        for (corpus, file) in CORPORA {
            check_column(model, corpus, &shared.join(file), columns()[0], &python);
        }
    }
}

#[test]
fn other_precisions_and_the_model_alone_reproduce_the_model_cards_scores() {
    let Some(shared) = shared("other_precisions_and_the_model_alone_reproduce_the_model_cards_scores") else { return };
    let Some(python) = python("other_precisions_and_the_model_alone_reproduce_the_model_cards_scores") else { return };
    let (corpus, file) = CORPORA[0];
    for column in &columns()[1..] {
        check_column(BUNDLED, corpus, &shared.join(file), *column, &python);
    }
}

#[test]
fn an_evaluation_reproduces_the_model_cards_scores() {
    const NAME: &str = "an_evaluation_reproduces_the_model_cards_scores";
    let Some(shared) = shared(NAME) else { return };
    let dir = tempdir().unwrap();
    let columns = dir.path().join("columns.txt");
    let outcome = PubTag::new(PROGRAM, ["evaluate", "--device", "cpu", "--json", "--gold"])
        .arg(shared.join("data/ncbi_disease/iob/test.tsv"))
        .arg("--predictions")
        .arg(&columns)
        .succeed();
    let found: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(found["mentions"], 960, "the split is whole");
    let f1 = found["entities"]["micro"]["f1"].as_f64().unwrap();
    let said: f64 = card(BUNDLED).split("strict entity F1 of ").nth(1).unwrap()[..6].parse().unwrap();
    assert!((f1 - said).abs() < TOLERANCE, "{f1} here, {said} on the card");

    let Some(python) = peers_python(NAME) else { return };
    let output =
        Command::new(python).arg(repository().join("tests/peers/seqeval_score.py")).arg(&columns).output().unwrap();
    let theirs: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    for (ours, name) in [("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")] {
        let (ours, theirs) = (found["entities"]["micro"][ours].as_f64().unwrap(), theirs[name].as_f64().unwrap());
        assert!((ours - theirs).abs() < 5e-5, "{name}: {ours} and {theirs}");
    }
}

#[test]
fn int8_differs_by_less_than_a_third_of_a_point_on_the_test_split() {
    const NAME: &str = "int8_differs_by_less_than_a_third_of_a_point_on_the_test_split";
    let (Some(shared), Some(python)) = (shared(NAME), python(NAME)) else { return };
    let gold = shared.join(CORPORA[0].1);
    let [exact, rounded] = [&[][..], &INT8]
        .map(|options| through_run(&python, BUNDLED, &gold, options)["scores"]["Disease"]["f1"].as_f64().unwrap());
    assert!((exact - rounded).abs() <= 0.003, "f32 {exact}, int8 {rounded}");
}
