//! Inputs that must neither stop a run nor lose rows.

use std::fs;
use std::path::{Path, PathBuf};

use pubtag_tests::{PubTag, article, article_set, read_table, report, sample_article, tiny_model, write_corpus};
use serde_json::Value;
use tempfile::tempdir;

use crate::PROGRAM;

/// The line of an input in the run's report.
fn line(output: &Path, input: &Path) -> Value {
    let report = report(output);
    let lines = report["inputs"].as_array().unwrap();
    let line = lines.iter().find(|line| line["input"] == *input.to_string_lossy());
    line.unwrap_or_else(|| panic!("no line for {}: {report}", input.display())).clone()
}

fn assert_skipped(output: &Path, input: &Path, why: &str) {
    assert_status(output, input, "skipped", why);
}

fn assert_status(output: &Path, input: &Path, status: &str, why: &str) {
    let line = line(output, input);
    assert_eq!(line["status"], status, "{line}");
    assert!(line["reason"].as_str().is_some_and(|reason| reason.contains(why)), "{line}");
}

#[test]
fn a_record_that_does_not_fit_a_column_is_a_reject_and_later_files_are_read() {
    let dir = tempdir().unwrap();
    let poison = |number| article(number, "Gout", "x").replace("Version=\"1\"", "Version=\"2147483648\"");
    let deletion = "<DeleteCitation><PMID Version=\"4294967295\">7</PMID></DeleteCitation>".to_owned();
    let inputs = [
        ("a.xml", vec![sample_article(1), poison(990_000_002), sample_article(3), deletion]),
        ("b.xml", vec![sample_article(4)]),
    ];
    let paths = inputs.map(|(name, articles)| {
        let path = dir.path().join(name);
        fs::write(&path, article_set(&articles)).unwrap();
        path
    });
    let output = dir.path().join("out");
    PubTag::run(PROGRAM, &[&paths[0], &paths[1]], &output).end().assert_fails(65, &["2 rejects"]);
    assert_eq!(read_table(&output, "documents").len(), 3);
    let rejects = read_table(&output, "rejects");
    assert!(rejects.len() == 2 && rejects.iter().all(|row| row.contains("reason=bad_id")), "{rejects:?}");
}

#[test]
fn an_unbalanced_quote_loses_no_row() {
    let dir = tempdir().unwrap();
    let title = |number| if number % 60 == 0 { "\"Smart drugs" } else { "Gout" };
    let table = |separator: &str| {
        let row = |number| format!("{number}{separator}{}\n", title(number));
        format!("pmid{separator}title\n{}", (1..=300).map(row).collect::<String>())
    };
    for (name, separator, documents, rejects) in [("titles.tsv", "\t", 300, 0), ("titles.csv", ",", 295, 5)] {
        let (input, output) = (dir.path().join(name), dir.path().join(format!("{name}.out")));
        fs::write(&input, table(separator)).unwrap();
        let outcome = PubTag::run(PROGRAM, &[&input], &output).end();
        assert_eq!(outcome.code, Some(if rejects == 0 { 0 } else { 65 }), "{}", outcome.stderr);
        assert_eq!(read_table(&output, "documents").len(), documents, "{name}");
        assert_eq!(read_table(&output, "rejects").len(), rejects, "{name}");
    }
}

#[test]
fn an_output_below_the_inputs_is_not_read_again() {
    let dir = tempdir().unwrap();
    let folder = dir.path().join("in");
    fs::create_dir(&folder).unwrap();
    write_corpus(&folder, 1, 5);
    let output = folder.join("tagged/out");
    for night in 0..3 {
        PubTag::run(PROGRAM, &[&folder], &output).succeed();
        assert_eq!(read_table(&output, "documents").len(), 5, "night {night}");
    }
    assert_skipped(&output, &output, "output");
    // Nor by another run with another output.
    let other = dir.path().join("other");
    PubTag::run(PROGRAM, &[&folder], &other).succeed();
    assert_eq!(read_table(&other, "documents").len(), 5);
    assert_skipped(&other, &output, "written by pubtag");
    // Its tables are inputs if they are named.
    let again = dir.path().join("again");
    PubTag::run(PROGRAM, &[&output.join("documents")], &again).arg("--id-column").arg("doc_id").succeed();
    assert_eq!(read_table(&again, "documents").len(), 5);
}

#[test]
fn the_output_of_a_run_cannot_be_its_input() {
    let dir = tempdir().unwrap();
    let folder = dir.path().join("in");
    fs::create_dir(&folder).unwrap();
    let input = &write_corpus(&folder, 1, 2)[0];
    PubTag::run(PROGRAM, &[&folder], &folder).end().assert_fails(78, &["--output", "in"]);
    PubTag::run(PROGRAM, &[input], &folder).end().assert_fails(78, &["--output", "pubmed26n0001.xml.gz"]);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing was written");
    let output = dir.path().join("out");
    PubTag::run(PROGRAM, &[&folder], &output).succeed();
    PubTag::run(PROGRAM, &[&output.join("documents")], &output).end().assert_fails(78, &["--output", "documents"]);
}

#[cfg(unix)]
#[test]
fn a_dangling_link_fails_the_run_and_stops_nothing() {
    let dir = tempdir().unwrap();
    let folder = dir.path().join("in");
    fs::create_dir(&folder).unwrap();
    write_corpus(&folder, 1, 2);
    let (dangling, itself) = (folder.join("gone.xml"), folder.join("itself.xml"));
    std::os::unix::fs::symlink("nowhere.xml", &dangling).unwrap();
    std::os::unix::fs::symlink(&itself, &itself).unwrap();
    let output = dir.path().join("out");
    let outcome = PubTag::run(PROGRAM, &[&folder], &output).end();
    outcome.assert_fails(65, &[&dangling.to_string_lossy(), &itself.to_string_lossy(), "broken symbolic link"]);
    assert_eq!(read_table(&output, "documents").len(), 2);
    assert_status(&output, &dangling, "unreadable", "broken symbolic link");
    assert_status(&output, &itself, "unreadable", "broken symbolic link");
    PubTag::run(PROGRAM, &[&dangling], &output).end().assert_fails(65, &["gone.xml", "nowhere.xml"]);
}

/// `pubtag run` as an unprivileged user; `None` if the program cannot be started like that.
#[cfg(unix)]
fn unprivileged(inputs: &[&Path], output: &Path) -> Option<PubTag> {
    const NOBODY: [&str; 3] = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let can = std::process::Command::new("setpriv").args(NOBODY).args([PROGRAM, "--version"]).output();
    if !can.is_ok_and(|ended| ended.status.success()) {
        return None;
    }
    let call = PubTag::new("setpriv", NOBODY).arg(PROGRAM).arg("run").on_cpu(output).arg("--model").arg(tiny_model());
    Some(inputs.iter().fold(call, |call, input| call.arg(input)))
}

#[cfg(unix)]
#[test]
fn what_may_not_be_read_fails_the_run_and_all_else_is_tagged() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempdir().unwrap();
    let folder = dir.path().join("in");
    let (root_only, closed) = (folder.join("lost+found"), folder.join("updatefiles"));
    fs::create_dir_all(&root_only).unwrap();
    fs::create_dir_all(&closed).unwrap();
    let key = folder.join("host.key");
    fs::write(&key, "{}").unwrap();
    let files = write_corpus(&folder, 2, 2);
    let allow = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let outputs: [PathBuf; 3] = ["out", "folder", "file"].map(|name| dir.path().join(name));
    for output in &outputs {
        fs::create_dir(output).unwrap();
        allow(output, 0o777);
    }
    allow(dir.path(), 0o755);
    allow(&root_only, 0);
    allow(&closed, 0);
    allow(&key, 0);
    allow(&files[1], 0);
    let privileged = fs::File::open(&files[1]).is_ok();
    let run = |inputs: &[&Path], output: &Path| {
        if privileged { unprivileged(inputs, output) } else { Some(PubTag::run(PROGRAM, inputs, output)) }
    };
    let Some(call) = run(&[&folder], &outputs[0]) else {
        return pubtag_tests::skipped(
            "what_may_not_be_read_fails_the_run_and_all_else_is_tagged",
            "setpriv, or no right to start the program",
        );
    };
    call.end().assert_fails(78, &[&closed.to_string_lossy(), &files[1].to_string_lossy(), "ermission denied"]);
    assert_eq!(read_table(&outputs[0], "documents").len(), 2);
    assert_status(&outputs[0], &closed, "unreadable", "ermission denied");
    assert_status(&outputs[0], &files[1], "unreadable", "ermission denied");
    assert_skipped(&outputs[0], &root_only, "ermission denied");
    assert_skipped(&outputs[0], &key, "ermission denied");
    for (input, output) in [(&closed, &outputs[1]), (&files[1], &outputs[2])] {
        run(&[input], output).unwrap().end().assert_fails(78, &[&input.to_string_lossy(), "ermission denied"]);
    }
    allow(&root_only, 0o755);
    allow(&closed, 0o755);
}
