//! Text and file names from outside do not control the terminal, and reach files and pipes exactly.

use std::fs;
use std::path::PathBuf;

use pubtag_tests::{PubTag, python, tiny_model};
use tempfile::{TempDir, tempdir};

use crate::PROGRAM;

/// Sets the terminal's title, and reverses the text after it.
const HOSTILE: &str = "\x1b]0;owned\x07\u{9b}2J\u{202e}";
/// The same, escaped.
const SHOWN: &str = "\\u001b]0;owned\\u0007\\u009b2J\\u202e";

/// A directory with an output that has hostile file names, IDs and texts.
fn tagged() -> (TempDir, PathBuf, PathBuf) {
    let dir = tempdir().unwrap();
    let input = dir.path().join(format!("in{HOSTILE}.jsonl"));
    let line =
        serde_json::json!({"id": format!("7{HOSTILE}"), "title": format!("Gout{HOSTILE}."), "abstract": "Ataxia."});
    fs::write(&input, format!("{line}\n")).unwrap();
    let output = dir.path().join("out");
    PubTag::run(PROGRAM, &[&input], &output).succeed();
    (dir, input, output)
}

fn assert_harmless(seen: &str) {
    for part in ["\x1b]0;", "\x07", "\u{9b}", "\u{202e}"] {
        assert!(!seen.contains(part), "{part:?} in {seen:?}");
    }
}

#[test]
fn terminal_output_has_no_control_characters() {
    let Some(python) = python("terminal_output_has_no_control_characters") else { return };
    let (dir, _, output) = tagged();
    let id = format!("7{HOSTILE}");
    let shown = PubTag::new(PROGRAM, ["show", &id, "--output"]).arg(&output).on_a_terminal(&python);
    assert_harmless(&shown);
    assert!(shown.contains(&format!("Gout{SHOWN}")) || shown.contains(SHOWN), "{shown:?}");

    let corpus = dir.path().join(format!("corpus{HOSTILE}.jsonl"));
    let mention = serde_json::json!({"start": 0, "end": 4 + HOSTILE.chars().count(), "label": format!("D{HOSTILE}")});
    let line = serde_json::json!({"id": id, "text": format!("Gout{HOSTILE} was seen."), "entities": [mention]});
    fs::write(&corpus, format!("{line}\n")).unwrap();
    for command in ["list", "stats"] {
        let shown = PubTag::new(PROGRAM, ["corpus", command]).arg(&corpus).on_a_terminal(&python);
        assert_harmless(&shown);
        assert!(shown.contains(SHOWN), "{shown:?}");
    }
    let json = PubTag::new(PROGRAM, ["corpus", "stats", "--json"]).arg(&corpus).on_a_terminal(&python);
    assert_harmless(&json);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["files"][0]["name"], *corpus.to_string_lossy(), "what is shown is still the same JSON");

    let target = dir.path().join(format!("target{HOSTILE}"));
    let shown =
        PubTag::new(PROGRAM, ["convert", "--to", "jsonl"]).arg(&corpus).arg("-o").arg(&target).on_a_terminal(&python);
    assert_harmless(&shown);
    assert!(shown.contains(SHOWN), "{shown:?}");

    let folder = dir.path().join(format!("out{HOSTILE}"));
    fs::rename(&output, &folder).unwrap();
    let shown = PubTag::new(PROGRAM, ["inspect"]).arg(&folder).on_a_terminal(&python);
    assert_harmless(&shown);
    assert!(shown.contains(SHOWN), "{shown:?}");
}

#[test]
fn errors_are_one_line_without_control_characters() {
    let Some(python) = python("errors_are_one_line_without_control_characters") else { return };
    let dir = tempdir().unwrap();
    let name = format!("cut{HOSTILE}\nforged.xml");
    let input = dir.path().join(&name);
    fs::write(&input, "<PubmedArticleSet><PubmedArticle>").unwrap();
    let output = dir.path().join("out");
    let shown = PubTag::run(PROGRAM, &[&input], &output).on_a_terminal(&python);
    assert_harmless(&shown);
    assert!(shown.contains(&format!("cut{SHOWN}\\u000aforged.xml")), "{shown:?}");

    // Log files are escaped, too, since they are read with `cat`.
    let logged = PubTag::run(PROGRAM, &[&input], &output).end().stderr;
    assert_harmless(&logged);
    let missing = dir.path().join(format!("{HOSTILE}\nERROR forged"));
    let logged = PubTag::run(PROGRAM, &[&missing], &output).end().stderr;
    assert_harmless(&logged);
    assert!(logged.contains(SHOWN) && logged.lines().count() == 1, "{logged:?}");

    let evaluate = PubTag::new(PROGRAM, ["evaluate", "--device", "cpu", "--model"]).arg(tiny_model());
    let shown = evaluate.arg("--gold").arg(&missing).on_a_terminal(&python);
    assert_harmless(&shown);
    assert!(shown.contains(SHOWN), "{shown:?}");

    let usage = PubTag::new(PROGRAM, [format!("--{HOSTILE}")]).end();
    assert_eq!(usage.code, Some(2));
    assert_harmless(&usage.stderr);
    // clap omits escape sequences in unknown options.
    assert!(usage.stderr.contains("\\u009b2J\\u202e"), "{usage:?}");
}

#[test]
fn piped_output_is_exact() {
    let (_dir, input, output) = tagged();
    let id = format!("7{HOSTILE}");
    let page = PubTag::new(PROGRAM, ["show", &id, "--output"]).arg(&output).succeed().stdout;
    assert!(page.starts_with(&format!("{id} · {} · ", input.file_name().unwrap().to_string_lossy())), "{page:?}");
    // The text is shown with marks between its words.
    assert!(page.matches(HOSTILE).count() >= 2 && page.contains("\u{1b}]0;"), "{page:?}");
    let coloured = PubTag::new(PROGRAM, ["show", &id, "--color=always", "--output"]).arg(&output).succeed().stdout;
    assert_harmless(&coloured);
}
