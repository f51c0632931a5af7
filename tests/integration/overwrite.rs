//! What --overwrite replaces, and what is never replaced.

use std::fs;
use std::path::Path;

use pubtag_tests::{PubTag, tiny_model};
use tempfile::tempdir;

use crate::PROGRAM;
use crate::training::{corpora, train, weights};

/// Names and contents of all files in a directory.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let read = |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap());
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| read(entry.unwrap())).collect();
    files.sort();
    files
}

/// A call of `pubtag train --overwrite` that is refused, with a word of the reason.
fn assert_refused(dir: &Path, output: &str, word: &str) {
    train(dir, output).arg("--overwrite").end().assert_fails(78, &[word]);
}

#[test]
fn a_trained_model_is_replaced_whole() {
    let dir = corpora();
    let model = dir.path().join("model");
    train(dir.path(), "model").succeed();
    let (before, names) = (weights(&model), files(&model).into_iter().map(|(name, _)| name).collect::<Vec<_>>());
    train(dir.path(), "model").end().assert_fails(78, &["already exists", "--overwrite"]);
    train(dir.path(), "model/.").arg("--seed=9").arg("--overwrite").succeed();
    assert_ne!(weights(&model), before);
    assert_eq!(files(&model).into_iter().map(|(name, _)| name).collect::<Vec<_>>(), names);
    assert!(!dir.path().join("model.partial").exists());
}

#[test]
fn the_working_directory_is_never_replaced() {
    let dir = corpora();
    let home = dir.path().join("home");
    fs::create_dir(&home).unwrap();
    fs::write(home.join("thesis.tex"), "three years").unwrap();
    let call = |output: &str| {
        let call = PubTag::new(PROGRAM, ["train", "--device", "cpu", "--overwrite", "--train"]).within(&home);
        call.arg(dir.path().join("train.tsv")).arg("--base").arg(tiny_model()).arg("--output").arg(output)
    };
    let nameless = "has no name";
    for (output, reason) in
        [(".", nameless), ("..", nameless), ("./.", nameless), ("../home", "is the working directory")]
    {
        call(output).end().assert_fails(78, &[reason]);
        assert_eq!(fs::read_to_string(home.join("thesis.tex")).unwrap(), "three years");
    }
}

#[test]
fn a_directory_that_is_not_a_trained_model_is_never_replaced() {
    let dir = corpora();
    let photos = dir.path().join("photos");
    fs::create_dir(&photos).unwrap();
    fs::write(photos.join("holiday.jpg"), "a picture").unwrap();
    assert_refused(dir.path(), "photos", "contains holiday.jpg");
    assert_eq!(fs::read(photos.join("holiday.jpg")).unwrap(), b"a picture");

    // Nor is a model from elsewhere replaced.
    let foreign = dir.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        fs::copy(tiny_model().join(name), foreign.join(name)).unwrap();
    }
    let before = files(&foreign);
    assert_refused(dir.path(), "foreign", "has no training.json written by pubtag");
    assert!(files(&foreign) == before);

    fs::write(dir.path().join("notes"), "a file").unwrap();
    assert_refused(dir.path(), "notes", "is not a directory");
}

#[test]
fn a_model_with_other_files_in_it_is_never_replaced() {
    let dir = corpora();
    train(dir.path(), "model").succeed();
    let model = dir.path().join("model");
    fs::create_dir(model.join("runs")).unwrap();
    assert_refused(dir.path(), "model", "contains runs");
    fs::remove_dir(model.join("runs")).unwrap();

    let moved = dir.path().join("moved");
    fs::rename(&model, &moved).unwrap();
    std::os::unix::fs::symlink(&moved, &model).unwrap();
    let before = files(&moved);
    assert_refused(dir.path(), "model", "is a symbolic link");
    assert!(files(&moved) == before);
}

#[test]
fn inputs_of_a_run_are_never_replaced() {
    let dir = corpora();
    train(dir.path(), "model").succeed();
    let model = dir.path().join("model");
    let before = files(&model);
    let call = PubTag::new(PROGRAM, ["train", "--device", "cpu", "--overwrite", "--train"]);
    let call = call.arg(dir.path().join("train.tsv")).arg("--base").arg(&model).arg("--output").arg(&model);
    call.end().assert_fails(78, &["would be replaced", "contains the input"]);
    assert!(files(&model) == before);
}

#[test]
fn an_unrelated_directory_with_the_drafts_name_is_kept() {
    let dir = corpora();
    let draft = dir.path().join("model.partial");
    fs::create_dir(&draft).unwrap();
    fs::write(draft.join("config.json"), "mine").unwrap();
    train(dir.path(), "model").end().assert_fails(78, &["model.partial", "move it away"]);
    assert_eq!(fs::read_to_string(draft.join("config.json")).unwrap(), "mine");
}

#[test]
fn convert_replaces_files_only_with_overwrite_and_never_its_input() {
    let dir = tempdir().unwrap();
    let (input, output) = (dir.path().join("in.jsonl"), dir.path().join("out"));
    fs::write(&input, "{\"id\":\"a\",\"text\":\"Gout.\"}\n").unwrap();
    let convert =
        |output: &Path, to: &str| PubTag::new(PROGRAM, ["convert", "--to", to]).arg(&input).arg("-o").arg(output);
    fs::write(&output, "mine").unwrap();
    convert(&output, "bioc-json").end().assert_fails(78, &["out: already exists", "--overwrite"]);
    assert_eq!(fs::read_to_string(&output).unwrap(), "mine");
    convert(&output, "bioc-json").arg("--overwrite").succeed();
    assert!(fs::read_to_string(&output).unwrap().contains("Gout."));

    let before = fs::read(&input).unwrap();
    convert(&input, "jsonl").arg("--overwrite").end().assert_fails(78, &["would overwrite the input"]);
    assert_eq!(fs::read(&input).unwrap(), before);

    // The same for files whose names the caller did not choose.
    let brat = dir.path().join("brat");
    fs::create_dir(&brat).unwrap();
    fs::write(brat.join("a.ann"), "by hand").unwrap();
    convert(&brat, "brat").end().assert_fails(78, &["a.ann: already exists"]);
    assert_eq!(fs::read_to_string(brat.join("a.ann")).unwrap(), "by hand");
    let left: Vec<_> = files(dir.path().join("brat").as_path()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, ["a.ann"], "no draft is left");
}

#[test]
fn predictions_replace_a_file_only_with_overwrite_and_never_the_corpus() {
    let dir = corpora();
    let (gold, kept) = (dir.path().join("dev.tsv"), dir.path().join("kept.txt"));
    fs::write(&kept, "mine").unwrap();
    let evaluate = |predictions: &Path| {
        let call = PubTag::new(PROGRAM, ["evaluate", "--device", "cpu", "--model"]).arg(tiny_model());
        call.arg("--gold").arg(&gold).arg("--predictions").arg(predictions)
    };
    evaluate(&kept).end().assert_fails(78, &["kept.txt: already exists"]);
    assert_eq!(fs::read_to_string(&kept).unwrap(), "mine");
    let before = fs::read(&gold).unwrap();
    evaluate(&gold).arg("--overwrite").end().assert_fails(78, &["is an input of this command"]);
    assert_eq!(fs::read(&gold).unwrap(), before);
    evaluate(&kept).arg("--overwrite").succeed();
    assert_ne!(fs::read_to_string(&kept).unwrap(), "mine");
}
