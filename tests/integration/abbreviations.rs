//! Tagging abbreviations by their definitions.

use std::fs;
use std::path::Path;
use std::process::Command;

use pubtag_tests::{PubTag, Rows, python, read_table, report};
use tempfile::tempdir;

use crate::PROGRAM;

/// Three documents: a disease whose short form also occurs where no model expects it; short forms of diseases that mean
/// something else here; and a short form without a definition.
const TEXTS: &str = r#"{"id":"1","title":"ZK in mice.","abstract":"Patients with Zellweger-Koch disease (ZK) were seen. Families: 12 with ZK, 3 without. Group ZK slept; the ZK/XY index and ZKs rose."}
{"id":"2","title":"Asthma.","abstract":"Home dialysis (HD) was offered. Children with HD had severe asthma. Those with arterial tension (AT) too, but AT fell."}
{"id":"3","title":"ZK.","abstract":"Asthma and ZK."}
"#;

/// Runs the bundled model.
fn tagged(folder: &Path, name: &str, abbreviations: &str) -> std::path::PathBuf {
    let (input, output) = (folder.join("texts.jsonl"), folder.join(name));
    fs::write(&input, TEXTS).unwrap();
    let call = PubTag::new(PROGRAM, ["run"]).on_cpu(&output).arg(&input).arg("--abbreviations").arg(abbreviations);
    call.succeed();
    output
}

/// A column of the rows of a document.
fn column(rows: &Rows, doc_id: &str, name: &str) -> Vec<String> {
    let field = |row: &String, name: &str| {
        row.split('\u{1f}').find_map(|field| field.strip_prefix(&format!("{name}="))).unwrap().to_owned()
    };
    rows.iter().filter(|row| field(row, "doc_id") == doc_id).map(|row| field(row, name)).collect()
}

#[test]
fn every_short_form_of_a_disease_is_a_row_with_its_source() {
    let dir = tempdir().unwrap();
    let (off, on) = (tagged(dir.path(), "off", "off"), tagged(dir.path(), "on", "on"));
    let (before, after) = (read_table(&off, "annotations"), read_table(&on, "annotations"));

    let of_first = column(&after, "1", "mention");
    assert_eq!(of_first.iter().filter(|mention| *mention == "ZK").count(), 5, "{of_first:?}");
    assert!(of_first.contains(&"ZKs".to_owned()), "{of_first:?}");
    assert!(column(&before, "1", "mention").len() < of_first.len(), "the model found all by itself: {before:?}");
    assert!(column(&after, "1", "source").contains(&"abbreviation".to_owned()));

    // The model's mentions are unchanged, except for short forms of what is not a disease; nothing else is new.
    let is_other = |mention: &String| ["HD", "AT"].contains(&mention.as_str());
    assert!(column(&before, "2", "mention").iter().any(is_other), "the model needs no help here: {before:?}");
    assert!(!column(&after, "2", "mention").iter().any(is_other), "{after:?}");
    for row in &before {
        let gone = ["HD", "AT"].iter().any(|form| row.contains(&format!("mention={form}\u{1f}")));
        assert!(after.contains(row) != gone, "{row}");
        assert!(row.contains("source=model\u{1f}"), "{row}");
    }
    let new: Vec<_> = after.iter().filter(|row| !before.contains(row)).collect();
    for row in &new {
        assert!(row.contains("source=abbreviation\u{1f}") && row.contains("mention=ZK"), "{row}");
        assert!(row.contains("doc_id=1\u{1f}") && row.contains("label=Disease\u{1f}"), "{row}");
    }

    let (report, count) = (report(&on), |rows: &Rows| rows.len() as u64);
    let [added, removed] = ["added", "removed"].map(|name| report["abbreviations"][name].as_u64().unwrap());
    assert_eq!((added, count(&before) + added - removed), (new.len() as u64, count(&after)));
    let documents = read_table(&on, "documents");
    assert_eq!(column(&documents, "1", "annotation_count"), [of_first.len().to_string()]);
}

#[test]
fn the_bundled_model_tags_abbreviations_by_default() {
    let dir = tempdir().unwrap();
    let on = tagged(dir.path(), "on", "on");
    let default = dir.path().join("default");
    PubTag::new(PROGRAM, ["run"]).on_cpu(&default).arg(dir.path().join("texts.jsonl")).succeed();
    assert_eq!(report(&default)["settings"]["abbreviations"], "on");
    assert_eq!(read_table(&default, "annotations"), read_table(&on, "annotations"));
}

#[test]
fn another_abbreviations_setting_is_a_conflict() {
    let dir = tempdir().unwrap();
    let output = tagged(dir.path(), "out", "off");
    assert!(report(&output)["abbreviations"].is_null());
    let other =
        || PubTag::new(PROGRAM, ["run"]).on_cpu(&output).arg(dir.path().join("texts.jsonl")).arg("--abbreviations=on");
    other().end().assert_fails(78, &["--overwrite"]);
    other().arg("--overwrite").succeed();
    assert_eq!(report(&output)["settings"]["abbreviations"], "on");
}

#[test]
fn evaluate_finds_what_a_run_writes() {
    let dir = tempdir().unwrap();
    for switch in ["on", "off"] {
        let rows = read_table(&tagged(dir.path(), switch, switch), "annotations");
        let gold = dir.path().join(format!("{switch}.PubTator"));
        fs::write(&gold, pubtator(&rows)).unwrap();
        let call = PubTag::new(PROGRAM, ["evaluate", "--device", "cpu", "--json", "--gold"]).arg(&gold);
        let found = call.arg("--abbreviations").arg(switch).succeed().stdout;
        let found: serde_json::Value = serde_json::from_str(&found).unwrap();
        assert_eq!((&found["mentions"], &found["abbreviations"]), (&rows.len().into(), &(switch == "on").into()));
        assert_eq!(found["spans_strict"]["micro"]["f1"], 1.0, "{switch}: {found}");
    }
}

/// The texts as a corpus with the rows as mentions.
fn pubtator(rows: &Rows) -> String {
    let document = |line: &str| {
        let text: serde_json::Value = serde_json::from_str(line).unwrap();
        let field = |name: &str| text[name].as_str().unwrap().to_owned();
        let id = field("id");
        let of = |name: &str| column(rows, &id, name);
        let [starts, ends, mentions, labels] = ["start_char", "end_char", "mention", "label"].map(of);
        let lines = (0..starts.len())
            .map(|row| format!("{id}\t{}\t{}\t{}\t{}\n", starts[row], ends[row], mentions[row], labels[row]));
        format!("{id}|t|{}\n{id}|a|{}\n{}\n", field("title"), field("abstract"), lines.collect::<String>())
    };
    TEXTS.lines().map(document).collect()
}

/// The output of a model that `pubtag train` did not make stays that of `transformers`.
#[test]
fn a_model_from_elsewhere_tags_no_abbreviations_by_default() {
    let dir = tempdir().unwrap();
    let input = dir.path().join("texts.jsonl");
    fs::write(&input, TEXTS).unwrap();
    let of = |name: &str, arguments: &[&str]| {
        let output = dir.path().join(name);
        let call = arguments.iter().fold(PubTag::run(PROGRAM, &[&input], &output), |call, argument| call.arg(argument));
        call.succeed();
        report(&output)["settings"].as_object().unwrap().get("abbreviations").cloned()
    };
    assert_eq!(of("auto", &[]), None);
    assert_eq!(of("on", &["--abbreviations", "on"]), Some("on".into()));
    assert_eq!(read_table(&dir.path().join("auto"), "annotations"), {
        of("off", &["--abbreviations", "off"]);
        read_table(&dir.path().join("off"), "annotations")
    });
}

/// Rows written before the column existed have a null there; the views read both.
#[test]
fn other_readers_read_rows_with_and_without_a_source() {
    let Some(python) = python("other_readers_read_rows_with_and_without_a_source") else { return };
    let dir = tempdir().unwrap();
    let output = tagged(dir.path(), "out", "on");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let old = root.join("operators/parquet/tests/golden/annotations-v1.parquet");
    fs::copy(old, output.join("annotations/old.parquet")).unwrap();
    // The views read what markers name.
    let marker = r#"{"attempt_id": "old", "input": {"uri": "old.jsonl"}, "outcome": {"kind": "complete"}, "supersedes": [],
        "parts": [{"table": "annotations", "path": "annotations/old.parquet"}]}"#;
    fs::write(output.join("_pubtag/commits/old.json"), marker).unwrap();
    let script = "
import sys, collections, duckdb, pyarrow.dataset, pyarrow.parquet, pathlib
output, views = sys.argv[1:]
new = [path for path in pathlib.Path(output, 'annotations').rglob('*.parquet') if path.name != 'old.parquet']
read = collections.Counter(pyarrow.dataset.dataset(new).to_table(columns=['source'])['source'].to_pylist())
connection = duckdb.connect()
connection.sql(f\"set variable pubtag = '{output}'\")
connection.execute(open(views).read())
counts = dict(connection.sql('select source, count(*) from annotations group by all').fetchall())
assert counts.pop(None) == 3, counts
assert counts == dict(read) and set(counts) == {'model', 'abbreviation'}, (counts, read)
last = pyarrow.parquet.read_schema(new[0]).names[-1]
assert last == 'source', last
";
    let outcome = Command::new(python)
        .args(["-c", script])
        .arg(&output)
        .arg(root.join("deploy/sql/duckdb.sql"))
        .output()
        .unwrap();
    assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
}
