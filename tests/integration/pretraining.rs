//! `pubtag pretrain`: a language model learns from texts, and `pubtag train` goes on with it.

use std::fs;
use std::path::Path;
use std::process::Command;

use pubtag_tests::{PubTag, fixture, gzip, peers_python, tiny_model};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::PROGRAM;
use crate::training::{assert_resumes, corpora, corpus, metrics, weights};

/// A directory with `texts.jsonl`: documents of three sentences each, without their tags.
fn texts() -> TempDir {
    let dir = tempdir().unwrap();
    let sentences = corpus(1200, 3);
    let words = |sentence: &str| {
        let words: Vec<&str> = sentence.lines().filter_map(|line| line.split('\t').next()).collect();
        format!("We note that {}.", words.join(" "))
    };
    let sentences: Vec<String> = sentences.trim_end().split("\n\n").map(words).collect();
    let document = |(number, part): (usize, &[String])| {
        format!("{}\n", json!({"id": format!("t{number}"), "text": part.join(" ")}))
    };
    let lines: String = sentences.chunks(3).enumerate().map(document).collect();
    fs::write(dir.path().join("texts.jsonl"), lines).unwrap();
    dir
}

fn pretrain(dir: &Path, input: &str, output: &str) -> PubTag {
    epochs(3, dir, input, output).arg("--base").arg(tiny_model())
}

/// `pretrain` without its base.
fn epochs(count: usize, dir: &Path, input: &str, output: &str) -> PubTag {
    PubTag::new(PROGRAM, ["pretrain", "--device=cpu", "--threads=2", "--batch-size=4", "--learning-rate=3e-3"])
        .arg(format!("--epochs={count}"))
        .arg("--context-words=30")
        .arg("--held-out=0.1")
        .arg(dir.join(input))
        .arg("--output")
        .arg(dir.join(output))
}

/// Losses on held-out documents, by epoch.
fn held_out(model: &Path) -> Vec<f64> {
    metrics(model).iter().filter_map(|line| line["held_out"]["loss"].as_f64()).collect()
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_language_model_learns_and_is_a_base_for_fine_tuning() {
    let dir = texts();
    let outcome = pretrain(dir.path(), "texts.jsonl", "language").succeed();
    let model = dir.path().join("language");
    assert_eq!(outcome.stdout.trim(), model.to_string_lossy());
    assert!(outcome.stderr.contains("new head"), "{}", outcome.stderr);
    let losses = held_out(&model);
    assert!(losses.len() == 3 && losses[2] < losses[0] && losses[2] < 3.0, "of ln 171 = 5.1, it falls to {losses:?}");
    assert!(!dir.path().join("language.partial").exists());

    let record = json_of(&model.join("training.json"));
    let (learnt, held_out) = (record["learnt"].as_u64().unwrap(), record["held_out"].as_u64().unwrap());
    assert!(learnt + held_out == 400 && (20..70).contains(&held_out), "{learnt} and {held_out}");
    assert_eq!(record["texts"][0]["documents"], 400);
    assert_eq!(record["settings"]["mask"], 0.15);
    let config = json_of(&model.join("config.json"));
    assert_eq!(config["architectures"], json!(["BertForMaskedLM"]));
    assert!(config.get("id2label").is_none() && config.get("pubtag").is_none(), "{config}");
    for (file, text) in [("README.md", "| perplexity |"), ("report.html", "held-out documents by epoch")] {
        let page = fs::read_to_string(model.join(file)).unwrap();
        assert!(page.contains(text), "{file}: {page}");
    }

    // Its own head is kept when it goes on, and dropped for a classifier.
    let further = epochs(1, dir.path(), "texts.jsonl", "further").arg("--base").arg(&model).succeed();
    assert!(further.stderr.contains("keeping its head"), "{}", further.stderr);
    assert!(self::held_out(&dir.path().join("further"))[0] < losses[0]);
    let corpora = corpora();
    PubTag::new(PROGRAM, ["train", "--device=cpu", "--threads=2", "--epochs=1", "--train"])
        .arg(corpora.path().join("train.tsv"))
        .arg("--base")
        .arg(&model)
        .arg("--output")
        .arg(corpora.path().join("tagger"))
        .succeed();
    let lineage = json_of(&corpora.path().join("tagger/training.json"));
    assert_eq!(lineage["base"]["learnt"], learnt);
}

#[test]
fn a_seed_determines_the_bytes_of_a_language_model_whatever_the_texts_are_packed_in() {
    let dir = texts();
    fs::write(dir.path().join("texts.jsonl.gz"), gzip(&fs::read(dir.path().join("texts.jsonl")).unwrap())).unwrap();
    let model = |input: &str, output: &str, seed: &str| {
        epochs(1, dir.path(), input, output).arg("--base").arg(tiny_model()).arg("--seed").arg(seed).succeed();
        weights(&dir.path().join(output))
    };
    let one = model("texts.jsonl", "one", "5");
    assert_eq!(one, model("texts.jsonl.gz", "again", "5"));
    assert_ne!(one, model("texts.jsonl", "other", "6"));
}

#[test]
fn a_killed_pretraining_resumes_and_ends_with_the_same_bytes() {
    let dir = texts();
    assert_resumes(dir.path(), |output| pretrain(dir.path(), "texts.jsonl", output));
}

#[test]
fn what_cannot_be_pretrained_is_refused_by_name() {
    let dir = texts();
    let call =
        || PubTag::new(PROGRAM, ["pretrain", "--device=cpu", "--threads=1", "--output"]).arg(dir.path().join("out"));
    let texts = dir.path().join("texts.jsonl");
    call().arg("--base").arg(tiny_model()).end().assert_fails(2, &["missing", "INPUT"]);
    call().arg(&texts).end().assert_fails(2, &["missing", "--base"]);
    let with = |base: &Path| call().arg(&texts).arg("--base").arg(base);
    with(&fixture("tiny-roberta")).end().assert_fails(78, &["cannot pretrain roberta", "supported: bert"]);
    with(&dir.path().join("nowhere")).end().assert_fails(78, &["nowhere"]);
    with(&tiny_model()).arg("--mask=1.5").end().assert_fails(2, &["--mask", "from 0 to below 1"]);

    let changed = |file: &str, from: &str, to: &str| {
        let base = tempdir().unwrap();
        for name in ["config.json", "model.safetensors", "tokenizer.json"] {
            fs::copy(tiny_model().join(name), base.path().join(name)).unwrap();
        }
        let text = fs::read_to_string(base.path().join(file)).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        fs::write(base.path().join(file), text.replace(from, to)).unwrap();
        base
    };
    let untied = changed("config.json", "\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false");
    with(untied.path()).end().assert_fails(78, &["tie_word_embeddings", "shares the word embeddings"]);
    let maskless = changed("tokenizer.json", "[MASK]", "[HIDE]");
    with(maskless.path()).end().assert_fails(78, &["no [MASK]"]);

    let file = dir.path().join("settings.toml");
    fs::write(&file, "held_out = 15\n").unwrap();
    with(&tiny_model()).arg("--config").arg(&file).end().assert_fails(2, &["held-out", "from 0 to below 1"]);
    fs::write(&texts, "{\"id\": \"1\", \"text\": \"\"}\n").unwrap();
    with(&tiny_model()).end().assert_fails(65, &["texts.jsonl", "no document has a text"]);
    fs::create_dir(dir.path().join("out")).unwrap();
    with(&tiny_model()).end().assert_fails(65, &["texts.jsonl", "no document has a text"]);
    fs::write(&texts, "{\"id\": \"1\", \"text\": \"One sentence.\"}\n").unwrap();
    with(&tiny_model()).end().assert_fails(78, &["out", "already exists", "--overwrite"]);
}

#[test]
fn transformers_loads_a_language_model_completely() {
    let Some(python) = peers_python("transformers_loads_a_language_model_completely") else { return };
    let dir = texts();
    pretrain(dir.path(), "texts.jsonl", "language").succeed();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/masked_language.py");
    let model = dir.path().join("language");
    let output = Command::new(python).arg(script).arg(&model).arg("we note that [MASK] were seen .").output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(said["missing"], json!([]));
    assert_eq!(said["unexpected"], json!([]));
    assert_eq!(said["tied"], true);
    assert_eq!(said["guesses"].as_array().map(Vec::len), Some(1));
}
