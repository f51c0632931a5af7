//! Bad input and bad setup: an error with path, cause and hint, the right exit code, and nothing half-written.

use std::fs;
use std::path::Path;

use pubtag_tests::{PubTag, article_set, fixture, gzip, read_table, report, sample_article, tiny_model, write_corpus};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::PROGRAM;

#[test]
fn a_missing_input_is_named() {
    let dir = tempdir().unwrap();
    let missing = dir.path().join("nowhere.xml.gz");
    PubTag::run(PROGRAM, &[&missing], &dir.path().join("out")).end().assert_fails(65, &["nowhere.xml.gz"]);
    assert!(!dir.path().join("out/annotations").exists());
}

#[test]
fn a_directory_without_inputs_is_refused() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("notes.md"), "# not an input").unwrap();
    PubTag::run(PROGRAM, &[dir.path()], &dir.path().join("out"))
        .end()
        .assert_fails(65, &[&dir.path().to_string_lossy()]);
}

/// Runs on a damaged file and an intact one: the damaged one is quarantined, the other committed.
fn assert_quarantined(damaged: &[u8], words: &[&str]) {
    let dir = tempdir().unwrap();
    let (bad, good) = (dir.path().join("bad.xml.gz"), dir.path().join("good.xml"));
    fs::write(&bad, damaged).unwrap();
    fs::write(&good, article_set(&[sample_article(7)])).unwrap();
    let output = dir.path().join("out");
    let outcome = PubTag::run(PROGRAM, &[&bad, &good], &output).end();
    outcome.assert_fails(65, &[words, &["bad.xml.gz", "quarantined"]].concat());
    assert_eq!(read_table(&output, "documents").len(), 1);
    assert_eq!(report(&output)["inputs"][0]["status"], "quarantined");
    let page = fs::read_to_string(output.join("report.html")).unwrap();
    assert!(page.contains("Inputs that need attention"), "{page}");
}

#[test]
fn damaged_files_are_quarantined_and_the_rest_is_committed() {
    let articles: Vec<String> = (0..200).map(sample_article).collect();
    let xml = article_set(&articles);
    let zipped = gzip(xml.as_bytes());
    let mut flipped = zipped.clone();
    let middle = flipped.len() / 2;
    flipped[middle..middle + 16].fill(0xff);

    assert_quarantined(&[], &["empty"]);
    assert_quarantined(&zipped[..zipped.len() / 2], &["truncated gzip data", "--accept-partial"]);
    assert_quarantined(&flipped, &["gzip"]);
    assert_quarantined(&xml.as_bytes()[..xml.len() / 2], &["ends"]);
    assert_quarantined(b"<?xml version=\"1.0\"?><rss version=\"2.0\"><channel/></rss>", &["rss"]);
    assert_quarantined(b"just some words", &["PubMed"]);
}

#[test]
fn accept_partial_commits_the_readable_part_of_a_truncated_file() {
    let dir = tempdir().unwrap();
    let xml = article_set(&(0..50).map(sample_article).collect::<Vec<_>>());
    let input = dir.path().join("cut.xml");
    fs::write(&input, &xml.as_bytes()[..xml.len() - 700]).unwrap();
    let output = dir.path().join("out");
    let call = PubTag::run(PROGRAM, &[&input], &output).arg("--accept-partial").arg("--max-rejects").arg("10%");
    call.succeed();
    let (documents, rejects) = (read_table(&output, "documents"), read_table(&output, "rejects"));
    assert!(documents.len() >= 48 && rejects.len() == 1, "{} documents, {rejects:?}", documents.len());
    assert!(rejects[0].contains("truncated"), "{rejects:?}");
}

/// Runs with a changed copy of the tiny model.
fn assert_model_refused(words: &[&str], change: impl FnOnce(&Path)) {
    assert_model_refused_in("f32", words, change);
}

fn assert_model_refused_in(precision: &str, words: &[&str], change: impl FnOnce(&Path)) {
    let dir = tempdir().unwrap();
    let model = dir.path().join("model");
    fs::create_dir(&model).unwrap();
    for file in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        fs::copy(tiny_model().join(file), model.join(file)).unwrap();
    }
    change(&model);
    let input = &write_corpus(dir.path(), 1, 2)[0];
    let output = dir.path().join("out");
    let call = PubTag::new(PROGRAM, ["run"]).on_cpu(&output).arg(input).arg("--model").arg(&model);
    call.arg("--precision").arg(precision).end().assert_fails(78, words);
    assert!(!output.join("annotations").exists());
}

fn edit_config(model: &Path, edit: impl FnOnce(&mut Value)) {
    let path = model.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut config);
    fs::write(path, config.to_string()).unwrap();
}

#[test]
fn unusable_models_are_refused_with_name_and_cause() {
    assert_model_refused(&["config.json"], |model| fs::remove_file(model.join("config.json")).unwrap());
    assert_model_refused(&["model.safetensors"], |model| fs::remove_file(model.join("model.safetensors")).unwrap());
    assert_model_refused(&["tokenizer"], |model| fs::remove_file(model.join("tokenizer.json")).unwrap());
    assert_model_refused(&["DebertaV2ForTokenClassification"], |model| {
        edit_config(model, |config| {
            config["architectures"] = json!(["DebertaV2ForTokenClassification"]);
            config["model_type"] = json!("deberta-v2");
        });
    });
    assert_model_refused(&["IOB2", "Krankheit"], |model| {
        edit_config(model, |config| config["id2label"] = json!({"0": "O", "1": "Krankheit", "2": "I-Disease"}));
    });
    assert_model_refused(&["shape", "intermediate"], |model| {
        edit_config(model, |config| config["intermediate_size"] = json!(7));
    });
    assert_model_refused(&["encoder.layer.2"], |model| {
        edit_config(model, |config| config["num_hidden_layers"] = json!(3));
    });
    assert_model_refused(&["model.safetensors"], |model| {
        fs::write(model.join("model.safetensors"), b"not a model at all").unwrap();
    });
}

#[test]
fn weights_that_are_not_numbers_are_refused_in_every_precision() {
    let tensor = "bert.encoder.layer.1.intermediate.dense.weight";
    let damage = |model: &Path| {
        let path = model.join("model.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        let header = 8 + usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
        let tensors: Value = serde_json::from_slice(&bytes[8..header]).unwrap();
        let start = header + usize::try_from(tensors[tensor]["data_offsets"][0].as_u64().unwrap()).unwrap();
        bytes[start + 40..start + 44].copy_from_slice(&f32::NAN.to_le_bytes());
        fs::write(path, bytes).unwrap();
    };
    for precision in ["f32", "int8"] {
        assert_model_refused_in(precision, &["model.safetensors", tensor, "NaN or infinite"], damage);
    }
}

#[test]
fn the_bundled_model_is_the_default() {
    let dir = tempdir().unwrap();
    let input = &write_corpus(dir.path(), 1, 1)[0];
    let output = dir.path().join("out");
    PubTag::new(PROGRAM, ["run"]).on_cpu(&output).arg(input).succeed();
    assert!(report(&output)["model"]["id"].as_str().unwrap().starts_with("pubtag-disease@"));
}

#[test]
fn a_directory_with_other_files_does_not_become_an_output() {
    let dir = tempdir().unwrap();
    let input = &write_corpus(dir.path(), 1, 1)[0];
    let output = dir.path().join("photos");
    fs::create_dir(&output).unwrap();
    fs::write(output.join("holiday.jpg"), "a picture").unwrap();
    PubTag::run(PROGRAM, &[input], &output).end().assert_fails(78, &["photos", "holiday.jpg"]);
    assert_eq!(fs::read_dir(&output).unwrap().count(), 1);
}

#[test]
fn an_output_that_cannot_be_written_is_named() {
    let dir = tempdir().unwrap();
    let input = &write_corpus(dir.path(), 1, 1)[0];
    // A file in the way stops everyone, including root.
    let blocker = dir.path().join("file");
    fs::write(&blocker, "in the way").unwrap();
    PubTag::run(PROGRAM, &[input], &blocker.join("out")).end().assert_fails(78, &[&*blocker.to_string_lossy()]);
}

#[test]
fn missing_cuda_is_a_clear_error_and_auto_falls_back_with_one_log_line() {
    let dir = tempdir().unwrap();
    let input = &write_corpus(dir.path(), 1, 2)[0];
    let output = dir.path().join("out");
    let on = |device: &str| {
        let call = PubTag::new(PROGRAM, ["run", "--device", device, "--output"]).arg(&output).arg(input);
        call.arg("--model").arg(tiny_model()).env("CUDA_VISIBLE_DEVICES", "-1")
    };
    on("cuda").end().assert_fails(78, &["cuda"]);
    let outcome = on("auto").succeed();
    let lines: Vec<_> = outcome.stderr.lines().filter(|line| line.contains("device auto: cpu")).collect();
    assert_eq!(lines.len(), 1, "{}", outcome.stderr);
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    for arguments in [&["run"][..], &["run", "x.xml"], &["walk"], &["run", "x", "--output", "o", "--device", "tpu"]] {
        assert_eq!(PubTag::new(PROGRAM, arguments).end().code, Some(2), "{arguments:?}");
    }
}

#[test]
fn the_fixtures_are_where_tests_look_for_them() {
    assert!(fixture("tiny-bert/reference.json").is_file());
}
