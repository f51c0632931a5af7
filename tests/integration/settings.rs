//! Settings of a run from a file, and `pubtag config show`.

use std::fs;

use pubtag_tests::{PubTag, article_set, report, sample_article, tiny_model};
use serde_json::Value;

use crate::PROGRAM;

#[test]
fn a_run_takes_its_settings_from_a_file_and_the_command_line_wins() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::write(path("in.xml"), article_set(&[sample_article(1)])).unwrap();
    let (input, output, model) = (path("in.xml"), path("out"), tiny_model().display().to_string());
    let text = format!(
        "inputs = ['{input}']\noutput = '{output}'\nmodel = '{model}'\ntext = 'hash'\ndecode = 'argmax'\ndevice = 'cpu'\n"
    );
    fs::write(path("run.toml"), text).unwrap();
    PubTag::new(PROGRAM, ["run", "--config"]).arg(path("run.toml")).arg("--decode=constrained").succeed();
    let report = report(&dir.path().join("out"));
    assert_eq!((&report["settings"]["text"], &report["settings"]["decode"]), (&"hash".into(), &"constrained".into()));

    fs::write(path("typo.toml"), "text_colum = 'abstract'\n").unwrap();
    let typo = PubTag::new(PROGRAM, ["run", "x.xml", "--output=out", "--config"]).arg(path("typo.toml")).end();
    typo.assert_fails(2, &["typo.toml", "unknown setting `text-colum`; did you mean `text-column`?"]);
}

#[test]
fn config_show_prints_every_setting_with_its_source() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("run.yaml");
    fs::write(&file, "precision: int8\ngrace: 2m\n").unwrap();
    let show = || PubTag::new(PROGRAM, ["config", "show", "run", "--grace=5", "--config"]).arg(&file);
    let table = show().env("PUBTAG_MODEL", "models/own").succeed().stdout;
    let row = |name: &str| {
        let row = table.lines().find(|line| line.starts_with(name)).unwrap();
        row.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row("grace"), ["grace", "5s", "command", "line"]);
    assert_eq!(row("model"), ["model", "models/own", "environment"]);
    assert_eq!(row("precision")[..2], ["precision", "int8"]);
    assert_eq!(row("decode"), ["decode", "constrained", "default"]);

    let shown: Value = serde_json::from_str(&show().arg("--format=json").succeed().stdout).unwrap();
    let precision =
        shown["settings"].as_array().unwrap().iter().find(|setting| setting["name"] == "precision").unwrap();
    assert_eq!(precision["value"], "int8");
    assert_eq!(precision["source"]["file"], file.display().to_string());
}

#[test]
fn what_an_environment_variable_says_is_wrong_is_told_by_its_name() {
    let run = || PubTag::new(PROGRAM, ["run", "in.xml", "--output", "out"]);
    run().env("PUBTAG_MODEL", "").end().assert_fails(2, &["PUBTAG_MODEL is empty; unset it"]);
    PubTag::new(PROGRAM, ["run", "in.xml", "--output", ""]).end().assert_fails(2, &["--output", "the path is empty"]);
    PubTag::new(PROGRAM, ["run", "in.xml", "--config", "nope.toml"])
        .end()
        .assert_fails(2, &["cannot read nope.toml: no such file"]);
}

/// A path need not be UTF-8.
#[cfg(target_os = "linux")]
#[test]
fn paths_may_be_of_any_bytes() {
    use std::os::unix::ffi::OsStringExt;
    let name = std::ffi::OsString::from_vec(b"mod\xffel".to_vec());
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join(&name);
    fs::create_dir(&model).unwrap();
    for file in fs::read_dir(tiny_model()).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
        fs::copy(&file, model.join(file.file_name().unwrap())).unwrap();
    }
    let input = dir.path().join("in.jsonl");
    fs::write(&input, "{\"id\": 1, \"text\": \"Gout.\"}\n").unwrap();
    let run = PubTag::new(PROGRAM, ["run", "--device=cpu", "--log-format=json"]).arg(&input);
    let outcome = run.arg("--output").arg(dir.path().join("out")).arg("--model").arg(&model).succeed();
    // The summary is a log line, too.
    let lines: Vec<Value> = outcome.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said = |line: &Value| line["fields"]["message"].as_str().is_some_and(|text| text.contains("done in"));
    assert!(lines.iter().any(said), "{lines:?}");
}

#[test]
fn missing_settings_are_usage_errors() {
    PubTag::new(PROGRAM, ["run"]).end().assert_fails(2, &["INPUT"]);
    PubTag::new(PROGRAM, ["run", "in.xml"]).end().assert_fails(2, &["--output"]);
    PubTag::new(PROGRAM, ["train", "--train=a.tsv", "--output=out"]).end().assert_fails(2, &["--base"]);
}
