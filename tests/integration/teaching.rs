//! `pubtag train --unlabelled … --teacher …`: a model learns from others what is in texts without annotations.

use std::fs;
use std::path::Path;

use pubtag_tests::{PubTag, tiny_model};
use serde_json::{Value, json};

use crate::training::{corpora, corpus, micro_f1, train, train_on, weights};

/// Writes sentences of the corpus without their tags, one document each, and a few annotated ones.
fn texts_and_few(dir: &Path) {
    let sentences = corpus(2400, 3);
    let document = |(number, sentence): (usize, &str)| {
        let words: Vec<&str> = sentence.lines().filter_map(|line| line.split('\t').next()).collect();
        format!("{}\n", json!({"id": format!("t{number}"), "text": words.join(" ")}))
    };
    let texts: String = sentences.trim_end().split("\n\n").enumerate().map(document).collect();
    fs::write(dir.join("texts.jsonl"), texts).unwrap();
    fs::write(dir.join("few.tsv"), corpus(5, 4)).unwrap();
}

fn student(dir: &Path, output: &str) -> PubTag {
    train_on(dir, &["few.tsv"], output).arg("--epochs=4").arg("--context-words=20")
}

fn taught(dir: &Path, teachers: &[&str], output: &str) -> PubTag {
    let start = student(dir, output).arg("--unlabelled").arg(dir.join("texts.jsonl")).arg("--teacher");
    teachers.iter().fold(start, |program, teacher| program.arg(dir.join(teacher)))
}

#[test]
fn a_student_learns_from_its_teachers_what_its_own_few_sentences_do_not_show() {
    let dir = corpora();
    texts_and_few(dir.path());
    train(dir.path(), "one").succeed();
    train(dir.path(), "two").arg("--seed=2").succeed();
    student(dir.path(), "alone").succeed();
    taught(dir.path(), &["one", "two"], "taught").succeed();
    taught(dir.path(), &["one", "two"], "again").succeed();

    let f1 = |model: &str| micro_f1(&dir.path().join(model), &dir.path().join("dev.tsv"));
    let (alone, with) = (f1("alone"), f1("taught"));
    assert!(alone < 0.3 && with > 0.8, "alone {alone}, taught {with}");
    assert_eq!(weights(&dir.path().join("taught")), weights(&dir.path().join("again")));

    let record: Value = serde_json::from_slice(&fs::read(dir.path().join("taught/training.json")).unwrap()).unwrap();
    assert_eq!(record["unlabelled"][0]["documents"], 2400);
    assert_eq!(record["teachers"].as_array().map(Vec::len), Some(2));
    let card = fs::read_to_string(dir.path().join("taught/README.md")).unwrap();
    assert!(card.contains("labelled by one (SHA-256") && card.contains("| texts.jsonl | 2400 |"), "{card}");
}

#[test]
fn teachers_that_cannot_teach_are_refused_by_name() {
    let dir = corpora();
    texts_and_few(dir.path());
    let genes = corpus(50, 5).replace("Disease", "Gene");
    fs::write(dir.path().join("genes.tsv"), genes).unwrap();
    train_on(dir.path(), &["genes.tsv"], "genes").arg("--epochs=1").succeed();
    taught(dir.path(), &["genes"], "out").end().assert_fails(78, &["teacher genes", "knows Gene", "annotate Disease"]);
    let both = train_on(dir.path(), &["few.tsv", "genes.tsv"], "out");
    let texts = dir.path().join("texts.jsonl");
    let both = both.arg("--unlabelled").arg(&texts).arg("--teacher").arg(dir.path().join("genes"));
    both.end().assert_fails(78, &["no teacher knows Disease"]);
    student(dir.path(), "out").arg("--teacher").arg(tiny_model()).end().assert_fails(2, &["missing", "--unlabelled"]);
    student(dir.path(), "out")
        .arg("--unlabelled")
        .arg(dir.path().join("texts.jsonl"))
        .end()
        .assert_fails(2, &["missing", "--teacher"]);
    fs::write(dir.path().join("texts.jsonl"), "{\"id\": \"1\", \"text\": \"\"}\n").unwrap();
    taught(dir.path(), &["genes"], "out").end().assert_fails(65, &["texts.jsonl", "no document has a text"]);
}
