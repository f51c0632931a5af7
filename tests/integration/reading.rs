//! How much of a text the model reads at a time: in runs, in evaluations, and for long texts.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use pubtag_tests::{PubTag, Rows, read_table, report, tiny_model};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::PROGRAM;

/// Titles and abstracts of several sentences, with different numbers of words, so that contexts differ.
fn texts() -> Vec<(String, String)> {
    const SENTENCES: [&str; 6] = [
        "Hereditary ataxia was seen in 12 patients (of St. Mary; ref. 3) with colon cancer.",
        "No tumor was found.",
        "Does familial gout, e.g. of the liver, cause myopia in mice of both sexes at the age of 3.5 months?",
        "It does",
        "β-thalassemia and breast cancer in E. coli!",
        "The gene is new and expressed in families with deficiency.",
    ];
    let text = |number: usize, count: usize| -> String {
        let sentence = |at: usize| SENTENCES[(number * 5 + at * at + at) % SENTENCES.len()];
        (0..count).map(sentence).collect::<Vec<_>>().join(if number.is_multiple_of(3) { "  " } else { " " })
    };
    (0..12).map(|number| (text(number, 1), text(number + 7, 3 + number % 5))).collect()
}

fn write_jsonl(path: &Path) {
    let lines = texts().into_iter().enumerate().map(|(id, (title, text))| {
        format!("{}\n", json!({"id": (id + 1).to_string(), "title": title, "abstract": text}))
    });
    fs::write(path, lines.collect::<String>()).unwrap();
}

fn field<'a>(row: &'a str, name: &str) -> &'a str {
    let of = |field: &'a str| field.strip_prefix(name)?.strip_prefix('=');
    row.split('\u{1f}').find_map(of).unwrap_or_else(|| panic!("{row} has no {name}"))
}

/// Document, first and last character, and type of each annotation.
fn places(rows: &Rows) -> Vec<[&str; 4]> {
    let place = |row| ["doc_id", "start_char", "end_char", "label"].map(|name| field(row, name));
    // Rows are sorted by their IDs, which depend on the model.
    let mut places: Vec<_> = rows.iter().map(|row| place(row)).collect();
    places.sort_unstable();
    places
}

/// The tiny model, with the number of words that it was trained with in its directory.
fn trained_with(words: usize, folder: &Path) -> PathBuf {
    for file in ["tokenizer.json", "model.safetensors"] {
        fs::copy(tiny_model().join(file), folder.join(file)).unwrap();
    }
    let mut config: Value = serde_json::from_slice(&fs::read(tiny_model().join("config.json")).unwrap()).unwrap();
    config["pubtag"] = json!({"context_words": words, "and": "more"});
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    folder.to_owned()
}

fn run(model: &Path, input: &Path, output: &Path, options: &[&str]) -> Rows {
    let call = PubTag::new(PROGRAM, ["run"]).on_cpu(output).arg(input).arg("--model").arg(model);
    options.iter().fold(call, PubTag::arg).succeed();
    read_table(output, "annotations")
}

#[test]
fn the_context_of_a_run_is_the_models_or_the_users() {
    let dir = tempdir().unwrap();
    let (input, trained) = (dir.path().join("in.jsonl"), tempdir().unwrap());
    write_jsonl(&input);
    let trained = trained_with(12, trained.path());
    let of = |name: &str, model: &Path, options: &[&str]| {
        run(model, &input, &dir.path().join(name), &[options, &["--abbreviations", "off"]].concat())
    };

    let as_trained = of("as-trained", &trained, &[]);
    let asked = of("asked", &tiny_model(), &["--context", "12"]);
    assert!(!asked.is_empty(), "the tiny model finds something in these texts");
    assert_eq!(places(&as_trained), places(&asked));

    let whole = of("whole", &tiny_model(), &[]);
    assert_eq!(places(&of("whole-asked", &trained, &["--context", "document"])), places(&whole));
    assert_ne!(places(&whole), places(&asked), "the context matters");

    let setting = |name: &str| report(&dir.path().join(name))["settings"]["context"].clone();
    assert_eq!([setting("as-trained"), setting("asked")], ["12", "12"]);
    assert_eq!([setting("whole"), setting("whole-asked")], [Value::Null, Value::Null], "as before there was a choice");
    // Another context is other work.
    let again = PubTag::new(PROGRAM, ["run"]).on_cpu(&dir.path().join("whole")).arg(&input).arg("--model");
    again.arg(tiny_model()).arg("--context=12").end().assert_fails(78, &["--overwrite"]);
}

#[test]
fn evaluate_finds_in_documents_what_a_run_writes() {
    let dir = tempdir().unwrap();
    let (input, gold) = (dir.path().join("in.jsonl"), dir.path().join("gold.txt"));
    write_jsonl(&input);
    for context in ["8", "20", "document"] {
        let rows = run(&tiny_model(), &input, &dir.path().join(context), &["--context", context]);
        let windows: u64 = report(&dir.path().join(context))["packing"]["windows"].as_u64().unwrap();
        assert!(context == "document" || windows > 24, "several contexts per document, {windows} in all");
        // A corpus with the run's annotations as mentions.
        let mut text = String::new();
        for (id, (title, of_abstract)) in (1..).zip(texts()) {
            let _ = writeln!(text, "{id}|t|{title}\n{id}|a|{of_abstract}");
            for row in rows.iter().filter(|row| field(row, "doc_id") == id.to_string()) {
                let [start, end, mention, label] =
                    ["start_char", "end_char", "mention", "label"].map(|name| field(row, name));
                let _ = writeln!(text, "{id}\t{start}\t{end}\t{mention}\t{label}\tD1");
            }
            text.push('\n');
        }
        fs::write(&gold, text).unwrap();
        let evaluate = |options: &[&str]| -> Value {
            let call = PubTag::new(PROGRAM, ["evaluate", "--device=cpu", "--json", "--labels=category", "--model"]);
            let call = options.iter().fold(call.arg(tiny_model()).arg("--gold").arg(&gold), PubTag::arg);
            serde_json::from_str(&call.succeed().stdout).unwrap()
        };
        let same = evaluate(&["--context", context]);
        let counts = |found: &Value| -> u64 {
            let all = found["spans_strict"]["counts"].as_object().unwrap();
            all.values().map(|one| one["found"].as_u64().unwrap()).sum()
        };
        assert_eq!(same["spans_strict"]["micro"]["f1"], 1.0, "{context}");
        assert_eq!(counts(&same), rows.len() as u64, "{context}: neither more nor fewer");
        assert_eq!(evaluate(&["--context", context, "--token-budget=70"])["spans_strict"], same["spans_strict"]);
        assert_eq!(evaluate(&["--context-words", context])["spans_strict"], same["spans_strict"], "the name it had");
        let said = same["reading"].as_str().unwrap();
        assert!(said.contains("as `pubtag run` reads") && (context == "document" || said.contains(context)), "{said}");
    }
}

/// Peak resident set, in MiB, of a run on one document of this many bytes. One-letter words give the most tokens for the
/// length of a text; the tiny model finds nothing in them, so that no rows are measured.
#[cfg(target_os = "linux")]
fn peak_of_one_document(bytes: usize, options: &[&str]) -> f64 {
    let dir = tempdir().unwrap();
    let (input, output) = (dir.path().join("one.jsonl"), dir.path().join("out"));
    fs::write(&input, format!("{}\n", json!({"id": "1", "text": "4 ".repeat(bytes / 2)}))).unwrap();
    let call = PubTag::run(PROGRAM, &[&input], &output).arg("--quiet").arg("--threads=2").arg("--text=hash");
    let peak = options.iter().fold(call, PubTag::arg).peak_mebibytes();
    let documents = read_table(&output, "documents");
    assert_eq!(field(&documents[0], "token_count"), (bytes / 2).to_string(), "all of it was read");
    assert_eq!(field(&documents[0], "annotation_count"), "0");
    peak
}

/// All tokens of 2 MiB at once took 446 MiB.
#[test]
#[cfg(target_os = "linux")]
fn a_long_document_takes_a_small_multiple_of_its_text() {
    const MIB: usize = 1 << 20;
    for options in [&[][..], &["--context", "100"]] {
        let [short, two, eight] = [2_000, 2 * MIB, 8 * MIB].map(|bytes| peak_of_one_document(bytes, options));
        let said = format!("{short:.0} MiB for a short text, {two:.0} for 2 MiB, {eight:.0} for 8 MiB {options:?}");
        // Pieces in flight take constant memory; the text itself is held a few times.
        assert!(two - short < 96.0 && eight - two < 16.0 * 6.0, "{said}");
    }
}
