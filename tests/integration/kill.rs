//! Kills at any moment, signals, and concurrent runs.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use pubtag_tests::{Outcome, PubTag, Rows, read_table, report, write_corpus};
use tempfile::tempdir;

use crate::PROGRAM;

pub(crate) const TABLES: [&str; 3] = ["annotations", "documents", "rejects"];

pub(crate) fn tables(output: &Path) -> [Rows; 3] {
    TABLES.map(|table| read_table(output, table))
}

pub(crate) fn run(inputs: &[PathBuf], output: &Path) -> PubTag {
    PubTag::run(PROGRAM, &inputs.iter().map(PathBuf::as_path).collect::<Vec<_>>(), output)
}

/// Commit markers so far. A marker that was interrupted by a kill has another extension and does not count.
pub(crate) fn commits(output: &Path) -> usize {
    let is_marker = |path: PathBuf| path.extension().is_some_and(|extension| extension == "json");
    let entries = std::fs::read_dir(output.join("_pubtag/commits"));
    entries.map_or(0, |entries| entries.flatten().filter(|entry| is_marker(entry.path())).count())
}

#[test]
fn repeated_kills_do_not_change_the_rows() {
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 12, 60);
    let unbroken = dir.path().join("unbroken");
    let started = Instant::now();
    run(&inputs, &unbroken).succeed();
    let whole = started.elapsed();

    let broken = dir.path().join("broken");
    let kills = 20;
    let mut interrupted = 0;
    for attempt in 0..kills {
        let mut child = run(&inputs, &broken).start();
        // Moments spread over a whole run, including start-up and sweep, each a little later than the last.
        std::thread::sleep(whole.mul_f64(f64::from(attempt % 10 + 1) / 10.0));
        interrupted += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(interrupted > 0, "no kill met a run at work");
    run(&inputs, &broken).succeed();
    assert_eq!(tables(&broken), tables(&unbroken));
    let markers = std::fs::read_dir(broken.join("_pubtag/commits")).unwrap();
    assert_eq!(markers.count(), inputs.len(), "what kills cut short is swept");
}

#[test]
fn two_runs_at_once_on_one_output_write_each_row_once() {
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 6, 40);
    let (alone, together) = (dir.path().join("alone"), dir.path().join("together"));
    run(&inputs, &alone).succeed();
    let children: Vec<Child> = (0..2).map(|_| run(&inputs, &together).start()).collect();
    for child in children {
        let outcome = Outcome::of(&child.wait_with_output().unwrap());
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    }
    assert_eq!(tables(&together), tables(&alone));
}

#[test]
fn a_first_signal_finishes_the_current_file_and_commits_whole_files_only() {
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let dir = tempdir().unwrap();
        let inputs = write_corpus(dir.path(), 40, 60);
        let output = dir.path().join("out");
        let child = run(&inputs, &output).start();
        wait_until("a first commit", || commits(&output) > 0);
        send(&child, signal);
        let outcome = Outcome::of(&child.wait_with_output().unwrap());
        assert_eq!(outcome.code, Some(code), "{}", outcome.stderr);

        let committed = commits(&output);
        assert!(committed < inputs.len(), "the run had ended before the signal");
        assert_eq!(read_table(&output, "documents").len(), 60 * committed);
        assert_eq!(report(&output)["ending"], "interrupted");
        assert!(outcome.stderr.contains("interrupted"), "{}", outcome.stderr);

        run(&inputs, &output).succeed();
        assert_eq!(read_table(&output, "documents").len(), 60 * inputs.len());
    }
}

#[test]
fn without_grace_the_current_file_is_abandoned_and_leaves_nothing() {
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 1, 20_000);
    let output = dir.path().join("out");
    let child = run(&inputs, &output).arg("--grace").arg("0").start();
    wait_until("the run to start", || output.join("_pubtag/attempts").is_dir());
    std::thread::sleep(Duration::from_millis(300));
    send(&child, "TERM");
    let outcome = Outcome::of(&child.wait_with_output().unwrap());
    assert_eq!(outcome.code, Some(143), "{}", outcome.stderr);
    assert!(tables(&output).iter().all(Vec::is_empty));
}

pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(60), "waited a minute for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn send(child: &Child, signal: &str) {
    let status = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}
