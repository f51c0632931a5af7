//! `pubtag train` and `pubtag evaluate` as a researcher meets them, on a small corpus and the tiny model.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pubtag_ner::{Checkpoint, ClassifierSetup, Device, MicroBatch, classifier};
use pubtag_tests::{PubTag, peers_python, shared, tiny_model};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::PROGRAM;

/// Sentences in two columns; what is tagged can be told by the words, so that there is something to learn.
fn corpus(sentences: usize, salt: usize) -> String {
    const DISEASES: [&str; 5] = ["colon cancer", "gout", "ataxia", "breast cancer", "myopia"];
    const FRAMES: [[&str; 2]; 4] =
        [["patients with", "were seen"], ["we report", "in mice"], ["the gene of", "is new"], ["no", "was found"]];
    let mut text = String::new();
    for number in 0..sentences {
        let seed = (number + salt * 7919).wrapping_mul(2_654_435_761) >> 7;
        let [before, after] = FRAMES[seed % FRAMES.len()];
        for word in before.split(' ') {
            let _ = writeln!(text, "{word}\tO");
        }
        for (at, word) in DISEASES[seed / 8 % DISEASES.len()].split(' ').enumerate() {
            let _ = writeln!(text, "{word}\t{}", if at == 0 { "B-Disease" } else { "I-Disease" });
        }
        for word in after.split(' ') {
            let _ = writeln!(text, "{word}\tO");
        }
        text.push('\n');
    }
    text
}

/// A folder with `train.tsv` and `dev.tsv`.
pub(crate) fn corpora() -> TempDir {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("train.tsv"), corpus(600, 1)).unwrap();
    fs::write(dir.path().join("dev.tsv"), corpus(60, 2)).unwrap();
    dir
}

pub(crate) fn train(dir: &Path, output: &str) -> PubTag {
    PubTag::new(PROGRAM, ["train", "--device", "cpu", "--threads", "2", "--context-words", "20", "--batch-size", "4"])
        .arg("--epochs=4")
        .arg("--learning-rate=3e-3")
        .arg("--train")
        .arg(dir.join("train.tsv"))
        .arg("--dev")
        .arg(dir.join("dev.tsv"))
        .arg("--base")
        .arg(tiny_model())
        .arg("--output")
        .arg(dir.join(output))
}

pub(crate) fn weights(model: &Path) -> Vec<u8> {
    fs::read(model.join("model.safetensors")).unwrap()
}

/// The lines of `metrics.jsonl` without what a clock says.
fn metrics(model: &Path) -> Vec<Value> {
    let text = fs::read_to_string(model.join("metrics.jsonl")).unwrap();
    let line = |line: &str| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        value["seconds"].take();
        value
    };
    text.lines().map(line).collect()
}

fn evaluate(model: &Path, gold: &Path) -> PubTag {
    PubTag::new(PROGRAM, ["evaluate", "--device", "cpu", "--json", "--model"]).arg(model).arg("--gold").arg(gold)
}

#[test]
fn a_model_learns_and_says_how_it_came_to_be() {
    let dir = corpora();
    let outcome = train(dir.path(), "model").succeed();
    let model = dir.path().join("model");
    assert_eq!(outcome.stdout.trim(), model.to_string_lossy());
    assert!(!dir.path().join("model.partial").exists());

    let found: Value = serde_json::from_str(&evaluate(&model, &dir.path().join("dev.tsv")).succeed().stdout).unwrap();
    let f1 = found["entities"]["micro"]["f1"].as_f64().unwrap();
    assert!(f1 > 0.9, "five words that always mean the same are learnt: F1 {f1}");

    let card = fs::read_to_string(model.join("README.md")).unwrap();
    assert!(card.contains("--learning-rate=3e-3") && card.contains("train.tsv"), "{card}");
    let record: Value = serde_json::from_slice(&fs::read(model.join("training.json")).unwrap()).unwrap();
    assert_eq!(record["epochs"].as_array().unwrap().len(), 4);
    assert_eq!(record["settings"]["seed"], 1);
    let page = fs::read_to_string(model.join("report.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("loss by step"), "{page}");
}

#[test]
fn a_seed_gives_the_same_bytes_and_another_seed_others() {
    let dir = corpora();
    for (name, seed) in [("one", "5"), ("again", "5"), ("other", "6")] {
        train(dir.path(), name).arg("--seed").arg(seed).arg("--replace-mentions=0.3").succeed();
    }
    let of = |name: &str| weights(&dir.path().join(name));
    assert_eq!(of("one"), of("again"));
    assert_ne!(of("one"), of("other"));
}

#[test]
fn a_killed_run_goes_on_to_the_bytes_of_an_unbroken_one() {
    let dir = corpora();
    train(dir.path(), "unbroken").succeed();
    let mut child = train(dir.path(), "broken").start();
    let state = dir.path().join("broken.partial/state.safetensors");
    let started = Instant::now();
    while !state.exists() {
        assert!(started.elapsed() < Duration::from_secs(120), "no epoch ends");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!dir.path().join("broken").exists(), "the run was over before the kill");
    let outcome = train(dir.path(), "broken").succeed();
    assert!(outcome.stderr.contains("going on after epoch"), "{}", outcome.stderr);
    let of = |name: &str| dir.path().join(name);
    assert_eq!(weights(&of("broken")), weights(&of("unbroken")));
    assert_eq!(metrics(&of("broken")), metrics(&of("unbroken")));
}

#[test]
fn settings_come_from_a_file_too_and_the_command_line_wins() {
    let dir = corpora();
    train(dir.path(), "by-hand").arg("--weight-decay=0.05").arg("--seed=3").succeed();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let settings = format!(
        "train_file: {}\nvalidation_file: {}\nmodel_name_or_path: {}\noutput_dir: {}\nnum_train_epochs: 4\n\
         per_device_train_batch_size: 4\nlearning_rate: 3e-3\nweight_decay: 0.05\nseed: 9\ncontext_words: 20\nthreads: 2\n\
         device: cpu\n",
        at("train.tsv"),
        at("dev.tsv"),
        tiny_model().display(),
        at("by-file"),
    );
    let file = dir.path().join("settings.yaml");
    fs::write(&file, settings).unwrap();
    PubTag::new(PROGRAM, ["train", "--config"]).arg(&file).arg("--seed=3").succeed();
    assert_eq!(weights(&dir.path().join("by-file")), weights(&dir.path().join("by-hand")));

    fs::write(&file, "epoch: 3\n").unwrap();
    PubTag::new(PROGRAM, ["train", "--config"]).arg(&file).end().assert_fails(2, &["settings.yaml", "epoch", "epochs"]);
}

#[test]
fn a_model_is_not_measured_by_what_it_learnt_unless_one_insists() {
    let dir = corpora();
    train(dir.path(), "model").arg("--dtype=f16").succeed();
    let (model, learnt) = (dir.path().join("model"), dir.path().join("train.tsv"));
    evaluate(&model, &learnt).end().assert_fails(78, &["train.tsv", "--allow-training-data"]);
    evaluate(&model, &learnt).arg("--allow-training-data").succeed();
}

#[test]
fn what_cannot_be_trained_is_refused_by_name() {
    let dir = corpora();
    let path = |name: &str| dir.path().join(name);
    let call = |train: &Path, base: &Path| {
        PubTag::new(PROGRAM, ["train", "--device", "cpu", "--output"])
            .arg(path("out"))
            .arg("--base")
            .arg(base)
            .arg("--train")
            .arg(train)
    };
    fs::write(path("empty.tsv"), "nothing\tO\nhere\tO\n").unwrap();
    call(&path("empty.tsv"), &tiny_model()).end().assert_fails(65, &["empty.tsv", "no mention"]);
    call(&path("train.tsv"), &path("nowhere")).end().assert_fails(78, &["nowhere"]);
    call(&path("train.tsv"), &tiny_model())
        .arg("--dev")
        .arg(path("train.tsv"))
        .end()
        .assert_fails(78, &["train.tsv", "--dev"]);

    let base = without_a_tensor(dir.path());
    call(&path("train.tsv"), &base).end().assert_fails(78, &["bert.encoder.layer.0.output.dense.weight is missing"]);

    fs::create_dir(path("taken")).unwrap();
    train(dir.path(), "taken").end().assert_fails(78, &["taken", "--overwrite"]);
}

/// The tiny model's encoder without one of its matrices.
fn without_a_tensor(dir: &Path) -> PathBuf {
    let base = dir.join("damaged");
    fs::create_dir(&base).unwrap();
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"] {
        fs::copy(tiny_model().join(name), base.join(name)).unwrap();
    }
    // The name is in the header, once: under another of the same length the tensor is not found.
    let mut bytes = weights(&tiny_model());
    let name = b"bert.encoder.layer.0.output.dense.weight";
    let at = bytes.windows(name.len()).position(|window| window == name).unwrap();
    bytes[at + name.len() - 6..at + name.len()].copy_from_slice(b"height");
    fs::write(base.join("model.safetensors"), bytes).unwrap();
    base
}

#[test]
fn a_category_that_the_model_does_not_know_counts_as_missed_and_is_named() {
    let dir = corpora();
    let gold = dir.path().join("genes.tsv");
    fs::write(&gold, corpus(20, 3).replace("Disease", "Gene")).unwrap();
    let outcome = evaluate(&tiny_model(), &gold).succeed();
    assert!(outcome.stderr.contains("Gene is unknown to the model"), "{}", outcome.stderr);
    let found: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(found["entities"]["categories"]["Gene"]["recall"], 0.0);
}

#[test]
fn four_categories_are_trained_and_scored_both_ways() {
    let dir = corpora();
    for (name, sentences, salt) in [("train.tsv", 600, 1), ("dev.tsv", 60, 2)] {
        // Cancers are specific diseases; what is left of the diseases are modifiers.
        let text = corpus(sentences, salt).replace("cancer\tI-Disease", "cancer\tI-SpecificDisease");
        let text = text
            .replace("colon\tB-Disease", "colon\tB-SpecificDisease")
            .replace("breast\tB-Disease", "breast\tB-SpecificDisease");
        fs::write(dir.path().join(name), text.replace("-Disease\n", "-Modifier\n")).unwrap();
    }
    train(dir.path(), "model").arg("--labels=category").succeed();
    let (model, dev) = (dir.path().join("model"), dir.path().join("dev.tsv"));
    let found =
        |labels: &str| -> Value { serde_json::from_str(&evaluate(&model, &dev).arg(labels).succeed().stdout).unwrap() };
    let apart = found("--labels=category");
    let categories: Vec<&String> = apart["entities"]["categories"].as_object().unwrap().keys().collect();
    assert_eq!(categories, ["Modifier", "SpecificDisease"]);
    let together = found("--labels=auto");
    assert_eq!(together["entities"]["categories"].as_object().unwrap().keys().collect::<Vec<_>>(), ["Disease"]);
    assert_eq!(apart["entities_as_one_category"]["micro"], together["entities"]["micro"]);
    assert!(together["entities"]["micro"]["f1"].as_f64().unwrap() > 0.9);
}

#[test]
fn the_bundled_model_scores_on_the_test_split_what_its_card_says() {
    let Some(shared) = shared("the_bundled_model_scores_on_the_test_split_what_its_card_says") else { return };
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
    let card =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/models/pubtag-disease/README.md"));
    // Figures of the card are of one machine: others round sums otherwise.
    let said: f64 = card.unwrap().split("strict entity F1 of ").nth(1).unwrap()[..6].parse().unwrap();
    assert!((f1 - said).abs() < 0.002, "{f1} here, {said} on the card");

    let Some(python) = peers_python("the_bundled_model_scores_on_the_test_split_what_its_card_says") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/seqeval_score.py");
    let output = Command::new(python).arg(script).arg(&columns).output().unwrap();
    let theirs: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    for (ours, name) in [("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")] {
        let (ours, theirs) = (found["entities"]["micro"][ours].as_f64().unwrap(), theirs[name].as_f64().unwrap());
        assert!((ours - theirs).abs() < 5e-5, "{name}: {ours} and {theirs}");
    }
}

#[test]
fn int8_costs_less_than_a_third_of_a_point_on_the_test_split() {
    let Some(shared) = shared("int8_costs_less_than_a_third_of_a_point_on_the_test_split") else { return };
    let score = |precision: &str| {
        let outcome =
            PubTag::new(PROGRAM, ["evaluate", "--device", "cpu", "--json", "--precision", precision, "--gold"])
                .arg(shared.join("data/ncbi_disease/iob/test.tsv"))
                .succeed();
        let found: Value = serde_json::from_str(&outcome.stdout).unwrap();
        found["entities"]["micro"]["f1"].as_f64().unwrap()
    };
    let (exact, rounded) = (score("f32"), score("int8"));
    assert!((exact - rounded).abs() <= 0.003, "f32 {exact}, int8 {rounded}");
}

#[test]
fn transformers_computes_the_same_logits_with_a_saved_model() {
    let Some(python) = peers_python("transformers_computes_the_same_logits_with_a_saved_model") else { return };
    let dir = corpora();
    train(dir.path(), "model").succeed();
    let model = dir.path().join("model");
    let texts: Vec<Vec<u32>> =
        (0..6).map(|text| (0..=text * 7 + 2).map(|at| 5 + (at * 13 + text * 5) % 60).collect()).collect();
    let theirs = logits_of_transformers(&python, &model, &texts);

    let mut ours = classifier(&Checkpoint::open(&model).unwrap(), Device::Cpu, ClassifierSetup::on(Device::Cpu))
        .unwrap()()
    .unwrap();
    for (ids, theirs) in texts.iter().zip(&theirs) {
        let mut batch = MicroBatch::default();
        batch.push(ids);
        let ours: Vec<f32> = ours.classify(&batch).unwrap().rows().flatten().copied().collect();
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert!((ours - theirs).abs() < 1e-4, "{ours} and {theirs}");
        }
    }
}

fn logits_of_transformers(python: &Path, model: &Path, texts: &[Vec<u32>]) -> Vec<Vec<f32>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/logits.py");
    let mut child = Command::new(python)
        .arg(script)
        .arg(model)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&serde_json::to_vec(texts).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    let nested: Vec<Vec<Vec<f32>>> = serde_json::from_slice(&output.stdout).expect("transformers answers");
    nested.into_iter().map(|rows| rows.into_iter().flatten().collect()).collect()
}
