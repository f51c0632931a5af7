//! `pubtag run`: what it writes and prints.

use std::fs;
use std::path::Path;

use pubtag_tests::{PubTag, article, article_set, gzip, read_table, report, sample_article, tiny_model, write_corpus};
use tempfile::tempdir;

use crate::PROGRAM;

const TABLES: [&str; 3] = ["annotations", "documents", "rejects"];

#[test]
fn a_run_writes_three_tables_and_a_report_that_reconcile() {
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 2, 40);
    let output = dir.path().join("out");
    let outcome = PubTag::run(PROGRAM, &[&inputs[0], &inputs[1]], &output).succeed();

    assert!(!read_table(&output, "annotations").is_empty(), "the tiny model finds something in these texts");
    assert_eq!(read_table(&output, "documents").len(), 80);
    assert_eq!(read_table(&output, "rejects").len(), 0);
    let report = report(&output);
    assert_eq!(report["reconciliation"]["citations"], 80);
    assert_eq!(report["reconciliation"]["document_rows"], 80);
    assert_eq!(report["ending"], "done");
    assert_eq!(report["annotations"], read_table(&output, "annotations").len());
    assert!(report["packing"]["tokens"].as_u64().is_some_and(|tokens| tokens > 80));
    let page = fs::read_to_string(output.join("report.html")).unwrap();
    for word in ["80 citations", "tokenize", "waiting for input", report["run_id"].as_str().unwrap()] {
        assert!(page.contains(word), "the page lacks {word:?}:\n{page}");
    }
    assert!(outcome.stdout.is_empty(), "stdout is data, and a run has none: {}", outcome.stdout);
    for word in ["80 citations", "annotations", "tokens/s", "busy"] {
        assert!(outcome.stderr.contains(word), "the summary lacks {word:?}:\n{}", outcome.stderr);
    }
}

/// `tests/bench/memory.py` measures more than a test can; this test catches memory that grows with the input.
#[test]
#[cfg(target_os = "linux")]
fn a_longer_input_takes_no_more_memory() {
    let (short, long) = (peak_of_a_run(3), peak_of_a_run(40));
    assert!(long < 1.4 * short, "{short} MiB at 3,000 citations, {long} at 40,000");
}

/// Peak resident set, in MiB, of a run on this many files of a thousand citations.
#[cfg(target_os = "linux")]
fn peak_of_a_run(files: u32) -> f64 {
    let (inputs, output) = (tempdir().unwrap(), tempdir().unwrap());
    write_corpus(inputs.path(), files, 1_000);
    let peak = PubTag::run(PROGRAM, &[inputs.path()], output.path()).arg("--quiet").peak_mebibytes();
    assert_eq!(read_table(output.path(), "documents").len(), 1_000 * files as usize);
    PubTag::new(PROGRAM, ["verify"]).arg(output.path()).succeed();
    peak
}

#[test]
fn a_second_run_does_nothing_and_says_so() {
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 1, 20);
    let output = dir.path().join("out");
    PubTag::run(PROGRAM, &[&inputs[0]], &output).succeed();
    let before = TABLES.map(|table| read_table(&output, table));
    let outcome = PubTag::run(PROGRAM, &[&inputs[0]], &output).succeed();
    assert!(outcome.stderr.contains("already committed"), "{}", outcome.stderr);
    assert_eq!(before, TABLES.map(|table| read_table(&output, table)));
    assert_eq!(report(&output)["inputs"][0]["status"], "already_committed");
}

#[test]
fn the_same_content_under_another_name_is_not_tagged_twice() {
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 1, 10);
    let copy = dir.path().join("copy.xml.gz");
    fs::copy(&inputs[0], &copy).unwrap();
    let output = dir.path().join("out");
    PubTag::run(PROGRAM, &[&inputs[0], &copy], &output).succeed();
    assert_eq!(read_table(&output, "documents").len(), 10);
    assert_eq!(report(&output)["inputs"].as_array().map(Vec::len), Some(2));
    // Nor in a later run on the copy only.
    PubTag::run(PROGRAM, &[&copy], &output).succeed();
    assert_eq!(read_table(&output, "documents").len(), 10);
}

#[test]
fn a_changed_file_is_refused_without_overwrite() {
    let dir = tempdir().unwrap();
    let input = dir.path().join("citations.xml");
    let output = dir.path().join("out");
    fs::write(&input, article_set(&[sample_article(1)])).unwrap();
    PubTag::run(PROGRAM, &[&input], &output).succeed();
    fs::write(&input, article_set(&[sample_article(1), sample_article(2)])).unwrap();
    PubTag::run(PROGRAM, &[&input], &output).end().assert_fails(78, &["citations.xml", "--overwrite"]);
    assert_eq!(read_table(&output, "documents").len(), 1);
    PubTag::run(PROGRAM, &[&input], &output).arg("--overwrite").succeed();
    assert_eq!(read_table(&output, "documents").len(), 2);
}

#[test]
fn other_settings_are_a_conflict_and_replace_rows_only_with_overwrite() {
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 1, 10);
    let output = dir.path().join("out");
    PubTag::run(PROGRAM, &[&inputs[0]], &output).succeed();
    let hashed = || PubTag::run(PROGRAM, &[&inputs[0]], &output).arg("--text").arg("hash");
    hashed().end().assert_fails(78, &["--overwrite"]);
    hashed().arg("--overwrite").succeed();
    let documents = read_table(&output, "documents");
    assert_eq!(documents.len(), 10);
    assert!(documents.iter().all(|row| row.contains("title=∅") && row.contains("abstract=∅")), "{documents:?}");
}

#[test]
fn input_formats_are_detected_in_files_directories_globs_and_stdin() {
    let dir = tempdir().unwrap();
    let folder = dir.path().join("in");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("plain-named-gz.xml.gz"), article_set(&[sample_article(1)])).unwrap();
    fs::write(folder.join("gzip-named-xml.xml"), gzip(article_set(&[sample_article(2)]).as_bytes())).unwrap();
    let lines = "{\"id\":\"a-1\",\"title\":\"Gout.\",\"abstract\":\"Familial gout of the liver.\"}\n{\"pmid\":77,\"text\":\"Colon cancer.\"}\n";
    fs::write(folder.join("texts.jsonl"), lines).unwrap();
    fs::write(folder.join("notes.md"), "not an input").unwrap();

    let output = dir.path().join("out");
    PubTag::run(PROGRAM, &[&folder], &output).succeed();
    assert_eq!(read_table(&output, "documents").len(), 4);

    let globbed = dir.path().join("globbed");
    PubTag::run(PROGRAM, &[&folder.join("*.xml*")], &globbed).succeed();
    assert_eq!(read_table(&globbed, "documents").len(), 2);

    let piped = dir.path().join("piped");
    PubTag::run(PROGRAM, &[Path::new("-")], &piped).stdin(&folder.join("texts.jsonl")).succeed();
    let documents = read_table(&piped, "documents");
    assert!(
        documents.iter().any(|row| row.contains("doc_id=a-1")) && documents.iter().any(|row| row.contains("pmid=77"))
    );
    // The same bytes again are the same work.
    PubTag::run(PROGRAM, &[Path::new("-")], &piped).stdin(&folder.join("texts.jsonl")).succeed();
    assert_eq!(read_table(&piped, "documents").len(), 2);
}

#[test]
fn a_bad_record_is_kept_as_a_reject_and_the_others_are_tagged() {
    let dir = tempdir().unwrap();
    let input = dir.path().join("one-bad.xml");
    let bad = article(990_000_500, "A <i>broken</b> title", "Text.");
    fs::write(&input, article_set(&[sample_article(1), bad, sample_article(2)])).unwrap();
    let output = dir.path().join("out");
    PubTag::run(PROGRAM, &[&input], &output).end().assert_fails(65, &["1 reject", "--max-rejects"]);
    assert_eq!(read_table(&output, "documents").len(), 2);
    let rejects = read_table(&output, "rejects");
    assert!(rejects.len() == 1 && rejects[0].contains("pmid=990000500"), "{rejects:?}");
    // The rest is committed, and a tolerant run with another output succeeds.
    PubTag::run(PROGRAM, &[&input], &dir.path().join("tolerant")).arg("--max-rejects").arg("1").succeed();
}

#[test]
fn a_limit_ends_the_run_early() {
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 2, 30);
    let output = dir.path().join("out");
    PubTag::run(PROGRAM, &[&inputs[0], &inputs[1]], &output).arg("--limit").arg("35").succeed();
    assert_eq!(read_table(&output, "documents").len(), 35);
}

#[test]
fn deletions_titles_without_abstract_and_citations_without_text_are_rows() {
    let dir = tempdir().unwrap();
    let input = dir.path().join("update.xml");
    let title_only = "<PubmedArticle><MedlineCitation><PMID Version=\"2\">990000001</PMID><Article><ArticleTitle>Gout.</ArticleTitle></Article></MedlineCitation></PubmedArticle>";
    let no_text = "<PubmedArticle><MedlineCitation><PMID>990000002</PMID><Article/></MedlineCitation></PubmedArticle>";
    let deletions =
        "<DeleteCitation><PMID Version=\"1\">990000003</PMID><PMID Version=\"1\">990000004</PMID></DeleteCitation>";
    fs::write(&input, article_set(&[title_only.into(), no_text.into(), deletions.into()])).unwrap();
    let output = dir.path().join("out");
    PubTag::run(PROGRAM, &[&input], &output).succeed();
    let report = report(&output);
    assert_eq!(
        (&report["reconciliation"]["citations"], &report["reconciliation"]["deletions"]),
        (&2.into(), &2.into())
    );
    assert_eq!((&report["statuses"]["deleted"], &report["statuses"]["no_text"]), (&2.into(), &1.into()));
    let documents = read_table(&output, "documents");
    assert!(documents.iter().any(|row| row.contains("pmid=990000001") && row.contains("pmid_version=2")));
}

#[test]
fn results_do_not_depend_on_budget_threads_or_neighbours() {
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 2, 150);
    let annotations = |name: &str, options: &[&str]| {
        let output = dir.path().join(name);
        options.iter().fold(PubTag::run(PROGRAM, &[&inputs[0], &inputs[1]], &output), PubTag::arg).succeed();
        read_table(&output, "annotations")
    };
    let without_scores = |rows: &[String]| rows.iter().map(|row| without_score(row)).collect::<Vec<_>>();
    let usual = annotations("usual", &["--threads=1"]);
    assert_eq!(
        without_scores(&usual),
        without_scores(&annotations("one-by-one", &["--threads=1", "--token-budget=64"]))
    );
    // Scores included: a micro-batch is the same whoever computes it.
    assert_eq!(usual, annotations("seven-workers", &["--threads=7"]));
    assert_eq!(usual, annotations("two-workers", &["--threads=6", "--threads-per-worker=3"]));
    assert_eq!(usual, annotations("one-worker", &["--threads=4", "--threads-per-worker=4"]));
    assert_eq!(usual, annotations("more-threads-per-worker-than-threads", &["--threads=2", "--threads-per-worker=9"]));
}

fn without_score(row: &str) -> String {
    row.split('\u{1f}').filter(|field| !field.starts_with("score=")).collect()
}

#[test]
fn the_model_can_come_from_the_environment() {
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 1, 3);
    let output = dir.path().join("out");
    let model = tiny_model();
    let call = PubTag::new(PROGRAM, ["run"]).on_cpu(&output).arg(&inputs[0]);
    call.env("PUBTAG_MODEL", &model.to_string_lossy()).succeed();
    assert_eq!(read_table(&output, "documents").len(), 3);
}
