//! `pubtag train` and `pubtag evaluate` on a small corpus and the tiny model.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pubtag_ner::{Checkpoint, ClassifierSetup, Device, MicroBatch, classifier};
use pubtag_tests::{PubTag, gzip, peers_python, tiny_model};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::PROGRAM;

/// Sentences in two columns; the words determine the tags, so that there is something to learn.
pub(crate) fn corpus(sentences: usize, salt: usize) -> String {
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

/// A directory with `train.tsv` and `dev.tsv`.
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

#[test]
fn settings_that_cannot_train_are_refused() {
    let dir = corpora();
    for (option, said) in [
        ("--replace-mentions=2", "expected a number from 0 to 1"),
        ("--warmup=nan", "expected a number from 0 to 1"),
        ("--clip-norm=0", "expected a number above 0"),
        ("--layer-decay=inf", "expected a number above 0"),
        ("--weight-decay=-1", "expected a number of at least 0"),
        ("--seed=x", "not a whole number"),
        ("--patience=0", "must be at least 1"),
    ] {
        train(dir.path(), "model").arg(option).end().assert_fails(2, &[said]);
    }
    let without_dev = PubTag::new(PROGRAM, ["train", "--patience", "1", "--output", "x", "--base"]).arg(tiny_model());
    without_dev.arg("--train").arg(dir.path().join("train.tsv")).end().assert_fails(2, &["--patience needs", "--dev"]);
    assert!(!dir.path().join("model").exists() && !dir.path().join("model.partial").exists());
}

#[test]
fn a_second_training_of_one_model_is_told_to_wait() {
    let dir = corpora();
    let draft = dir.path().join("model.partial");
    fs::create_dir(&draft).unwrap();
    let mark = fs::File::create(draft.join(".pubtag-train")).unwrap();
    mark.lock().unwrap();
    train(dir.path(), "model").end().assert_fails(75, &["another training is in progress"]);
}

#[test]
fn what_cannot_be_read_of_a_corpus_is_part_of_its_scores() {
    let dir = tempdir().unwrap();
    let gold = dir.path().join("gold.tsv");
    fs::write(&gold, corpus(20, 3) + "of\tO\ngout\tI-Disease\n\n").unwrap();
    let evaluation: Value = serde_json::from_str(&evaluate(&tiny_model(), &gold).succeed().stdout).unwrap();
    assert_eq!(evaluation["left_out"], serde_json::json!({"tag_sequence": 1}));
    let page = PubTag::new(PROGRAM, ["evaluate", "--device", "cpu", "--model"]).arg(tiny_model());
    let page = page.arg("--gold").arg(&gold).succeed().stdout;
    assert!(page.contains("cannot be read: sentences with an invalid sequence of tags: 1\n"), "{page}");
}

/// The lines of `metrics.jsonl` without times.
pub(crate) fn metrics(model: &Path) -> Vec<Value> {
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
fn a_model_learns_and_records_how_it_was_made() {
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
fn a_seed_determines_the_bytes_of_the_model() {
    let dir = corpora();
    for (name, seed) in [("one", "5"), ("again", "5"), ("other", "6")] {
        train(dir.path(), name).arg("--seed").arg(seed).arg("--replace-mentions=0.3").succeed();
    }
    let of = |name: &str| weights(&dir.path().join(name));
    assert_eq!(of("one"), of("again"));
    assert_ne!(of("one"), of("other"));
}

#[test]
fn a_killed_run_resumes_and_ends_with_the_same_bytes() {
    let dir = corpora();
    assert_resumes(dir.path(), |output| train(dir.path(), output));
}

/// A training that is killed after its first epoch, and started again, ends as one that is not.
pub(crate) fn assert_resumes(dir: &Path, train: impl Fn(&str) -> PubTag) {
    train("unbroken").succeed();
    let mut child = train("broken").start();
    let state = dir.join("broken.partial/state.safetensors");
    let started = Instant::now();
    while !state.exists() {
        assert!(started.elapsed() < Duration::from_secs(120), "no epoch ends");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!dir.join("broken").exists(), "the run was over before the kill");
    let outcome = train("broken").succeed();
    assert!(outcome.stderr.contains("resuming after epoch"), "{}", outcome.stderr);
    let of = |name: &str| dir.join(name);
    assert_eq!(weights(&of("broken")), weights(&of("unbroken")));
    assert_eq!(metrics(&of("broken")), metrics(&of("unbroken")));
}

#[test]
fn settings_can_come_from_a_file_and_the_command_line_wins() {
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
    PubTag::new(PROGRAM, ["train", "--config"])
        .arg(&file)
        .end()
        .assert_fails(2, &["settings.yaml", "unknown setting `epoch`", "did you mean `epochs`?"]);
}

#[test]
fn a_model_is_not_evaluated_on_its_training_data_by_default() {
    let dir = corpora();
    train(dir.path(), "model").arg("--dtype=f16").succeed();
    let (model, learnt) = (dir.path().join("model"), dir.path().join("train.tsv"));
    evaluate(&model, &learnt).end().assert_fails(78, &["train.tsv", "--allow-training-data"]);
    evaluate(&model, &learnt).arg("--allow-training-data").succeed();
}

#[test]
fn unusable_training_data_is_refused_by_name() {
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
    // The name occurs once, in the header: with another name of the same length, the tensor is not found.
    let mut bytes = weights(&tiny_model());
    let name = b"bert.encoder.layer.0.output.dense.weight";
    let at = bytes.windows(name.len()).position(|window| window == name).unwrap();
    bytes[at + name.len() - 6..at + name.len()].copy_from_slice(b"height");
    fs::write(base.join("model.safetensors"), bytes).unwrap();
    base
}

/// Sentences with a disease and a gene each, where only these types are annotated.
fn two_types(sentences: usize, salt: usize, annotated: &[&str]) -> String {
    const GENES: [&str; 4] = ["BRCA1", "p53", "insulin", "MLH1"];
    let mut text = corpus(sentences, salt);
    for gene in GENES {
        // Each sentence has a gene: "the gene of" precedes it.
        text = text.replacen("new\tO", &format!("{gene}\tB-Gene"), text.matches("new\tO").count().div_ceil(2));
    }
    let unannotated = ["Disease", "Gene"].into_iter().filter(|name| !annotated.contains(name));
    unannotated.fold(text, |text, name| text.replace(&format!("B-{name}"), "O").replace(&format!("I-{name}"), "O"))
}

/// `train` without its corpora.
pub(crate) fn train_on(dir: &Path, corpora: &[&str], output: &str) -> PubTag {
    let start = PubTag::new(PROGRAM, ["train", "--device=cpu", "--threads=2", "--batch-size=4", "--train"]);
    let named = corpora.iter().fold(start, |program, corpus| program.arg(dir.join(corpus)));
    named.arg("--learning-rate=3e-3").arg("--base").arg(tiny_model()).arg("--output").arg(dir.join(output))
}

pub(crate) fn micro_f1(model: &Path, gold: &Path) -> f64 {
    let found: Value = serde_json::from_str(&evaluate(model, gold).arg("--context-words=20").succeed().stdout).unwrap();
    found["entities"]["micro"]["f1"].as_f64().unwrap()
}

#[test]
fn types_that_a_corpus_does_not_annotate_are_learnt_from_another() {
    let dir = tempdir().unwrap();
    let file = |name: &str, text: String| fs::write(dir.path().join(name), text).unwrap();
    file("diseases.tsv", two_types(300, 1, &["Disease"]));
    file("genes.tsv", two_types(900, 2, &["Gene"]));
    file("both.tsv", two_types(120, 3, &["Disease", "Gene"]));
    let score = |corpora: &[&str], output: &str| {
        train_on(dir.path(), corpora, output).arg("--epochs=4").arg("--context-words=20").succeed();
        micro_f1(&dir.path().join(output), &dir.path().join("both.tsv"))
    };
    let masked = score(&["diseases.tsv", "genes.tsv"], "masked");
    let naive = score(&["diseases.tsv:types=Disease,Gene", "genes.tsv:types=Gene,Disease"], "naive");
    assert!(masked > 0.95 && naive < 0.85, "masked {masked}, as if both corpora annotated both types {naive}");
}

#[test]
fn contexts_of_many_lengths_are_drawn_by_the_seed_and_the_tagging_length_is_recorded() {
    let dir = corpora();
    let mixed = |output: &str| {
        train_on(dir.path(), &["train.tsv"], output)
            .arg("--epochs=2")
            .arg("--context-words=5..60")
            .arg("--context=30")
            .succeed();
        dir.path().join(output)
    };
    let (one, again) = (mixed("one"), mixed("again"));
    assert_eq!(weights(&one), weights(&again));
    let steps = |epoch: usize| {
        let lines = metrics(&one);
        let ends: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].get("epoch").is_some()).collect();
        let start = if epoch == 0 { 0 } else { ends[epoch - 1] + 1 };
        lines[start..ends[epoch]].iter().map(|line| line["tokens"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_ne!(steps(0), steps(1), "every epoch is cut anew");
    let config: Value = serde_json::from_slice(&fs::read(one.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["pubtag"]["context_words"], 30);

    train_on(dir.path(), &["train.tsv"], "middle").arg("--context-words=5..60").arg("--epochs=1").succeed();
    let config: Value = serde_json::from_slice(&fs::read(dir.path().join("middle/config.json")).unwrap()).unwrap();
    assert_eq!(config["pubtag"]["context_words"], 32);
}

#[test]
fn each_development_corpus_has_its_curve_and_the_best_mean_is_kept() {
    let dir = corpora();
    fs::write(dir.path().join("other.tsv"), corpus(60, 9)).unwrap();
    train(dir.path(), "model").arg("--dev").arg(dir.path().join("other.tsv")).succeed();
    let model = dir.path().join("model");
    let epochs: Vec<Value> = metrics(&model).into_iter().filter(|line| line.get("epoch").is_some()).collect();
    let f1 = |line: &Value| -> Vec<f64> {
        let scores = line["development"].as_array().unwrap();
        assert_eq!([&scores[0]["corpus"], &scores[1]["corpus"]], ["dev", "other"]);
        scores.iter().map(|score| score["micro"]["f1"].as_f64().unwrap()).collect()
    };
    let means: Vec<f64> = epochs.iter().map(|line| f1(line).iter().sum::<f64>() / 2.0).collect();
    let best = means.iter().copied().fold(0.0, f64::max);
    let kept = ["dev.tsv", "other.tsv"].map(|gold| micro_f1(&model, &dir.path().join(gold)));
    assert!((kept.iter().sum::<f64>() / 2.0 - best).abs() < 1e-9, "{kept:?} of {means:?}");
    for (file, text) in [("report.html", "other"), ("README.md", "| other F1 | mean F1 |")] {
        let page = fs::read_to_string(model.join(file)).unwrap();
        assert!(page.contains(text), "{file}: {page}");
    }
}

#[test]
fn a_weight_repeats_a_corpus_and_a_fraction_takes_its_share() {
    let dir = corpora();
    let tokens = |corpus: &str, output: &str| -> u64 {
        train_on(dir.path(), &[corpus], output).arg("--epochs=1").arg("--context-words=20").succeed();
        let lines = metrics(&dir.path().join(output));
        lines.iter().filter(|line| line.get("step").is_some()).map(|line| line["tokens"].as_u64().unwrap()).sum()
    };
    let once = tokens("train.tsv", "once");
    assert_eq!(tokens("train.tsv:weight=2", "twice"), 2 * once);
    let half = tokens("train.tsv:weight=0.5", "half");
    assert!(half.abs_diff(once / 2) * 20 < once, "{half} of {once}");
}

#[test]
fn invalid_corpus_options_are_refused_by_name() {
    let dir = corpora();
    let fails = |train: &str, dev: Option<&str>, code: i32, words: &[&str]| {
        let program = train_on(dir.path(), &[train], "out").arg("--epochs=1");
        let program = dev.iter().fold(program, |program, dev| program.arg("--dev").arg(dir.path().join(dev)));
        program.end().assert_fails(code, words);
    };
    fails("train.tsv:wieght=2", None, 2, &["wieght", "weight"]);
    fails("train.tsv:types=Disease,Gene", None, 78, &["Gene", "types="]);
    fails("train.tsv:types=Gene", None, 65, &["train.tsv", "no mention of Gene"]);
    fails("train.tsv", Some("dev.tsv:weight=2"), 78, &["dev.tsv", "weight="]);
    fails("train.tsv", Some("dev.tsv:map=Disease=Gene"), 78, &["dev.tsv", "no mention of Disease", "map="]);
}

#[test]
fn types_that_the_model_does_not_know_are_named_and_not_scored() {
    let dir = corpora();
    let gold = dir.path().join("both.tsv");
    fs::write(&gold, corpus(20, 3).replace("gout\tB-Disease", "gout\tB-Gene")).unwrap();
    let outcome = evaluate(&tiny_model(), &gold).succeed();
    assert!(outcome.stderr.contains("the model does not know them: Gene"), "{}", outcome.stderr);
    let found: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(found["entities"]["categories"].as_object().unwrap().keys().collect::<Vec<_>>(), ["Disease"]);
    assert_eq!(found["not_scored"], serde_json::json!(["Gene"]));
    let page = PubTag::new(PROGRAM, ["evaluate", "--device=cpu", "--model"]).arg(tiny_model()).arg("--gold").arg(&gold);
    let page = page.succeed().stdout;
    assert!(page.contains("not scored, because the model does not know them: Gene"), "{page}");

    fs::write(&gold, corpus(20, 3).replace("Disease", "Gene")).unwrap();
    evaluate(&tiny_model(), &gold).end().assert_fails(78, &["both.tsv", "no mention of Disease", "map="]);
    let mapped = format!("{}:map=Gene=Disease", gold.display());
    let renamed: Value = serde_json::from_str(&evaluate(&tiny_model(), Path::new(&mapped)).succeed().stdout).unwrap();
    fs::write(&gold, corpus(20, 3)).unwrap();
    let named: Value = serde_json::from_str(&evaluate(&tiny_model(), &gold).succeed().stdout).unwrap();
    assert_eq!(renamed["entities"], named["entities"], "a renamed type scores as if it had been named so");
    assert_eq!(renamed["not_scored"], serde_json::json!([]));
}

#[test]
fn a_gzipped_corpus_is_trained_on_and_scored_like_a_plain_one() {
    let dir = corpora();
    for name in ["train.tsv", "dev.tsv"] {
        let packed = gzip(&fs::read(dir.path().join(name)).unwrap());
        fs::write(dir.path().join(format!("{name}.gz")), packed).unwrap();
    }
    let trained = |corpus: &str, output: &str| {
        train_on(dir.path(), &[corpus], output).arg("--context-words=20").arg("--epochs=1").succeed();
        dir.path().join(output)
    };
    let (plain, packed) = (trained("train.tsv", "plain"), trained("train.tsv.gz", "packed"));
    assert_eq!(weights(&plain), weights(&packed));
    let f1 = |gold: &str| micro_f1(&plain, &dir.path().join(gold));
    assert_eq!(f1("dev.tsv"), f1("dev.tsv.gz"));
    // Compressing a training file does not hide it.
    let learnt = dir.path().join("train.tsv.gz");
    evaluate(&plain, &learnt).end().assert_fails(78, &["train.tsv.gz", "--allow-training-data"]);
}

#[test]
fn several_corpora_are_evaluated_in_one_table() {
    let dir = corpora();
    train(dir.path(), "model").succeed();
    let model = dir.path().join("model");
    fs::write(dir.path().join("other.tsv"), corpus(60, 9)).unwrap();
    let alone = ["dev.tsv", "other.tsv"].map(|gold| micro_f1(&model, &dir.path().join(gold)));
    let both = |format: &[&str]| {
        let program = PubTag::new(PROGRAM, ["evaluate", "--device=cpu", "--context-words=20", "--model"])
            .arg(&model)
            .arg("--gold");
        let program = program.arg(dir.path().join("dev.tsv")).arg(dir.path().join("other.tsv"));
        format.iter().fold(program, |program, option| program.arg(option)).succeed().stdout
    };
    let table = both(&[]);
    for (name, f1) in ["dev.tsv", "other.tsv"].iter().zip(alone) {
        let row = table.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {table}"));
        assert!(row.contains(&format!("{f1:.4}")), "{row}");
    }
    let mean = format!("micro F1: {:.4}", alone.iter().sum::<f64>() / 2.0);
    assert!(table.contains(&mean), "{mean} in {table}");
    let list: Value = serde_json::from_str(&both(&["--json"])).unwrap();
    assert_eq!(list[1]["entities"]["micro"]["f1"], alone[1]);
}

#[test]
fn four_categories_are_trained_and_scored_both_ways() {
    let dir = corpora();
    for (name, sentences, salt) in [("train.tsv", 600, 1), ("dev.tsv", 60, 2)] {
        // Cancers are specific diseases; the other diseases are modifiers.
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
